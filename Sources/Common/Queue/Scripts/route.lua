-- route: tell the other workers what this one knows of the miners of some tasks, and learn what they know.
-- Guarantee: a report is read for `life` at most; a worker has one report for each task, the latest. A repeat
--   changes nothing. Verdicts are returned only to those that do not know them yet.
-- KEYS lease (names the shard)
-- ARGS 1 worker id  2 life of the reports, ms
--      3 count of tasks (0…100), then for each: task, report (any bytes; '' takes the worker's own back),
--        the change count of the verdicts that are known ('' for none)
-- RETURNS {now ms, for each task a list: change count of the verdicts or '', a list of hotkey, 'mean count',
--   … (empty when known), then for at most 64 other workers: age of the report in ms, report}
local worker, life = take(), take_int()
local now = now_ms()
local reply = {now}
-- Other workers whose reports are read.
local OTHERS_MAX = 64

local function reports(key, into)
  local all = redis.call('HGETALL', key)
  for index = 1, #all, 2 do
    local space = string.find(all[index + 1], ' ', 1, true)
    local written = space and tonumber(string.sub(all[index + 1], 1, space - 1))
    if not written or written + life <= now then
      redis.call('HDEL', key, all[index])
    elseif all[index] ~= worker and #into < 2 + 2 * OTHERS_MAX then
      into[#into + 1] = now - written
      into[#into + 1] = string.sub(all[index + 1], space + 1)
    end
  end
end

local function verdicts(task, known)
  local count = redis.call('HGET', quality_key(task), '') or ''
  if count == known then return count, {} end
  local fields = redis.call('HGETALL', quality_key(task))
  local result = {}
  for index = 1, #fields, 2 do
    if fields[index] ~= '' then
      result[#result + 1] = fields[index]
      result[#result + 1] = fields[index + 1]
    end
  end
  return count, result
end

for index = 1, math.min(take_int(), 100) do
  local task, report, known = take(), take(), take()
  local key = route_key(task)
  if report == '' then
    redis.call('HDEL', key, worker)
  else
    redis.call('HSET', key, worker, now .. ' ' .. report)
    redis.call('PEXPIRE', key, life)
  end
  local count, means = verdicts(task, known)
  local entry = {count, means}
  reports(key, entry)
  reply[1 + index] = entry
end
return reply
