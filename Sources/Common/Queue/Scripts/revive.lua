-- revive: give a dead job another life, or drop it.
-- Guarantee: only jobs of the dead list; an organic's reply that had ended starts anew; a planned query of a
--   period that ended cannot be revived.
-- KEYS dead, dead:bytes, organic, due, wake:organic, wake:due, wake:check, checks
-- ARGS 1 id  2 retry | drop
-- RETURNS 'retried' | 'dropped' | 'unknown' | 'too_late'
local id, what = take(), take()
if redis.call('ZSCORE', dead_key, id) == false then return 'unknown' end
local hash = job_key(id)
if what == 'drop' then
  forget_dead(id)
  return 'dropped'
end
local job = redis.call('HMGET', hash, 'kind', 'order', 'task', 'kept')
local now = now_ms()
-- A planned query was settled as dead: its period has counted it.
if job[1] == 'synthetic' or not job[1] then return 'too_late' end
unbury(id)
redis.call('HSET', hash, 'state', 'waiting', 'crashes', 0)
redis.call('HDEL', hash, 'reason', 'finished', 'deadline')
if job[1] == 'organic' then
  redis.call('DEL', reply_key(id))
  redis.call('ZADD', organic_key, job[2] or 0, id)
  redis.call('ZADD', wake_organic_key, 0, 'organic')
else
  redis.call('HINCRBY', checks_key, 'bytes', tonumber(job[4] or '0'))
  redis.call('ZADD', check_key(job[3]), now, id)
  redis.call('HINCRBY', checks_key, 'waiting:' .. job[3], 1)
  redis.call('ZADD', wake_check_key, 0, 'check')
end
return 'retried'
