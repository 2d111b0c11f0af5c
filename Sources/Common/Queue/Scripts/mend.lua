-- mend: one small repair of what is no job, for `vision fsck --repair`.
-- Guarantee: what is taken away is set aside for a week, under `lost:` and its name; a query is put back only if it
--   stands nowhere; counters move by a difference, so that what others count meanwhile stays counted.
-- KEYS lease, due, dead, periods, ledger, counts, wake:due
-- ARGS 1 what, then
--      count: key without the shard's prefix, field ('' for a plain number), difference
--      life: key without the prefix, seconds (0 for ever)
--      aside: key without the prefix
--      entry: id of a ledger entry
--      requeue: period, list of ids of its queries (0…100)
--      period: period, list of field, value pairs of its record, 1 to have it among the open, else 0
--      closed: period
--      fence: worker, one of whose jobs may have no record
-- RETURNS a count of what changed
local ASIDE_SECONDS = 604800

local function move_entry(id)
  local entry = redis.call('XRANGE', ledger_key, id, id)[1]
  if not entry then return 0 end
  redis.call('XADD', prefix .. 'lost:ledger', '*', 'entry', id, unpack(entry[2]))
  redis.call('EXPIRE', prefix .. 'lost:ledger', ASIDE_SECONDS)
  return redis.call('XDEL', ledger_key, id)
end

local function requeue(period, ids)
  local now, count = now_ms(), 0
  local is_over = now >= period_end(period)
  for index = 1, math.min(#ids, 100) do
    local id = ids[index]
    if redis.call('EXISTS', job_key(id)) == 0 and not redis.call('ZSCORE', due_key, id) then
      if is_over then skip_query(id, period, 'expired') else redis.call('ZADD', due_key, now, id) end
      count = count + 1
    end
  end
  if count > 0 then redis.call('ZADD', wake_due_key, 'LT', now, 'due') end
  return count
end

local what = take()
if what == 'count' then
  local key, field, by = prefix .. take(), take(), take_int()
  if field == '' then redis.call('INCRBY', key, by) else redis.call('HINCRBY', key, field, by) end
  return 1
elseif what == 'life' then
  local key, seconds = prefix .. take(), take_int()
  return seconds == 0 and redis.call('PERSIST', key) or redis.call('EXPIRE', key, seconds)
elseif what == 'aside' then
  local name = take()
  redis.call('RENAME', prefix .. name, prefix .. 'lost:' .. name)
  return redis.call('EXPIRE', prefix .. 'lost:' .. name, ASIDE_SECONDS)
elseif what == 'entry' then
  return move_entry(take())
elseif what == 'requeue' then
  local period = take()
  return requeue(period, take_list())
elseif what == 'period' then
  local period, fields, is_open = take(), take_list(), take_int()
  if #fields > 0 then redis.call('HSET', period_key(period), unpack(fields)) end
  if is_open == 0 then return redis.call('ZREM', periods_key, period) end
  redis.call('PERSIST', period_key(period))
  return redis.call('ZADD', periods_key, redis.call('HGET', period_key(period), 'start') or 0, period)
elseif what == 'fence' then
  return redis.call('HDEL', fence_key(take()), 'stands')
elseif what == 'closed' then
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'closed', 'period', take())
  return redis.call('HINCRBY', counts_key, 'closed', 1)
end
error('no such repair: ' .. tostring(what))
