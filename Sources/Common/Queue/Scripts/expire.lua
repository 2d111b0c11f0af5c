-- expire: end organic jobs whose deadline passed while they waited.
-- Guarantee: each gets its one terminal entry; a running job is left to its worker, which knows the deadline.
-- KEYS organic, organic:deadline
-- ARGS 1 most jobs (1…100)
-- RETURNS the count of jobs ended
local limit = math.min(take_int(), 100)
local now = now_ms()
local count = 0
for _, id in ipairs(redis.call('ZRANGE', organic_deadline_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)) do
  redis.call('ZREM', organic_deadline_key, id)
  local hash = job_key(id)
  if redis.call('HGET', hash, 'state') == 'waiting' and redis.call('ZREM', organic_key, id) == 1 then
    redis.call('HSET', hash, 'state', 'expired', 'finished', now)
    redis.call('XADD', reply_key(id), '*', 'end', 'expired', 'error', 'the deadline passed before a worker was free')
    redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
    redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
    redis.call('UNLINK', payload_key(id))
    count = count + 1
  end
end
return count
