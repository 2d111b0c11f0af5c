-- claim_check: lease one answer to the worker that serves a checking server.
-- Guarantee: as claim; among the oldest 100 answers of a task the one whose miner has fewest verdicts is
--   taken; the task is the one named first that has any.
-- KEYS lease, paused, verdicts, checks, wake:check
-- ARGS 1 worker id  2 nonce  3 lease, ms  4 list of tasks in order of preference (0…100)
-- RETURNS {} | {id, token, task, attempt, remote task id or '', fields of the attempt, answer}
local worker, nonce, lease = take(), take(), take_int()
local tasks = take_list()
if redis.call('SISMEMBER', paused_key, 'check') == 1 then return {} end
local now = now_ms()

local function fewest(task)
  local ids = redis.call('ZRANGE', check_key(task), '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)
  local best, least
  for _, id in ipairs(ids) do
    local hotkey = redis.call('HGET', job_key(id), 'hotkey')
    local count = tonumber(redis.call('HGET', verdicts_key, task .. '|' .. (hotkey or '')) or '0')
    if not least or count < least then best, least = id, count end
  end
  return best
end

for index = 1, math.min(#tasks, 100) do
  local task = tasks[index]
  local id = fewest(task)
  if id then
    redis.call('ZREM', check_key(task), id)
    redis.call('HINCRBY', checks_key, 'waiting:' .. task, -1)
    local hash = job_key(id)
    local job = redis.call('HMGET', hash, 'remote', 'fields')
    local answer = redis.call('GET', answer_key(id))
    if job[2] and answer then
      local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
      local token = nonce .. '.1'
      redis.call('HSET', hash, 'state', 'running', 'token', token, 'worker', worker)
      redis.call('ZADD', lease_key, now + lease, id)
      redis.call('ZADD', wake_check_key, 0, 'check')
      return {id, token, task, attempt, job[1] or '', cmsgpack.unpack(job[2]), answer}
    end
    redis.call('UNLINK', hash, answer_key(id))
  end
end
return {}
