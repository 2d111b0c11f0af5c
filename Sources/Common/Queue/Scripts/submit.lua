-- submit: a user's request into the organic queue.
-- Guarantee: a known id changes nothing and tells the job's state; an accepted job is stored whole; order
--   of admission is order of service. Refused when Redis is full (no allow-oom).
-- KEYS organic, organic:deadline, wake:organic, paused, admission, tasks, ledger
-- ARGS 1 id  2 task  3 payload  4 account or ''  5 time allowed until the answer is complete, ms (0: none)
--      6 stream flag (0|1)  7 most waiting organics  8 most payload bytes
-- RETURNS {'created'} | {'duplicate', state} | {'refused', 'bad_id' | 'bad_account' | 'unknown_task' |
--   'too_large' | 'full' | 'paused'}
local id, task, payload, account = take(), take(), take(), take()
local allowed, stream, waiting_max, bytes_max = take_int(), take_int(), take_int(), take_int()
if #id < 1 or #id > 64 or string.find(id, '[^%w_.-]') then return {'refused', 'bad_id'} end
if #account > 128 or string.find(account, '|', 1, true) then return {'refused', 'bad_account'} end
local hash = job_key(id)
local state = redis.call('HGET', hash, 'state')
if state then return {'duplicate', state} end
if redis.call('HEXISTS', tasks_key, task) == 0 then return {'refused', 'unknown_task'} end
if #payload > bytes_max then return {'refused', 'too_large'} end
if redis.call('SISMEMBER', paused_key, 'intake') == 1 then return {'refused', 'paused'} end
if redis.call('ZCARD', organic_key) >= waiting_max or redis.call('XLEN', ledger_key) >= LEDGER_MAX then
  return {'refused', 'full'}
end
local now = now_ms()
local order = redis.call('INCR', admission_key)
redis.call('HSET', hash, 'v', 1, 'kind', 'organic', 'state', 'waiting', 'task', task, 'order', order,
  'created', now, 'account', account, 'stream', stream)
redis.call('SET', payload_key(id), payload)
if allowed > 0 then
  redis.call('HSET', hash, 'deadline', now + allowed)
  redis.call('ZADD', organic_deadline_key, now + allowed, id)
end
redis.call('ZADD', organic_key, order, id)
redis.call('ZADD', wake_organic_key, 0, 'organic')
return {'created'}
