-- schedule: one chunk of a period's plan.
-- Guarantee: a chunk is added whole, once, in order: planning twice schedules once. Nothing is added to a
--   period whose plan is complete, or that was closed.
--   Refused (OOM) when more than 80 % of Redis's memory is used, or when too many queries wait.
-- KEYS due, wake:due
-- ARGS 1 leader token  2 period  3 number of this chunk (from 0)  4 1 when it is the last, else 0
--      5 list of field, value pairs for the period's volumes  6 list of due time (Unix ms), job id pairs
-- RETURNS {'stale'} without the role, {'unknown'} without such a period in planning, else {'ok', number of the next chunk}
-- Most queries that wait: a large period's plan, and what the one before left over.
local DUE_MAX = 8000000
local token, period, number, is_last = take(), take(), take_int(), take_int()
local volumes, jobs = take_list(), take_list()
if not leads('producer', token) then return {'stale'} end
local hash = period_key(period)
local expected = tonumber(redis.call('HGET', hash, 'next') or '-1')
if expected < 0 then return {'unknown'} end
if number ~= expected then return {'ok', expected} end
if redis.call('HGET', hash, 'state') ~= 'planning' then return {'unknown'} end
if is_memory_short(now_ms(), 0) then return redis.error_reply('OOM more than 80 % of the memory is used: no plan is added') end
if redis.call('ZCARD', due_key) >= DUE_MAX then return redis.error_reply('OOM too many planned queries wait') end
if #volumes > 0 then redis.call('HSET', volume_key(period), unpack(volumes)) end
if #jobs > 0 then
  redis.call('ZADD', due_key, unpack(jobs))
  redis.call('ZADD', wake_due_key, 'LT', jobs[1], 'due')
  redis.call('HINCRBY', hash, 'scheduled', #jobs / 2)
end
redis.call('HSET', hash, 'next', number + 1)
if is_last == 1 then redis.call('HSET', hash, 'state', 'open') end
return {'ok', number + 1}
