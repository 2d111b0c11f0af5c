-- cancel: end an organic job at the user's wish. Published as the function vision_cancel_v1.
-- Guarantee: the reply gets its one terminal entry at once; the worker that holds the job is woken and can
--   write nothing more; a finished job stays as it is.
-- KEYS organic, organic:deadline, lease
-- ARGS 1 id
-- RETURNS {'cancelled'} | {'unknown'} | {state} of a job that had ended already
local id = take()
local hash = job_key(id)
local job = redis.call('HMGET', hash, 'state', 'kind', 'worker')
if not job[1] or job[2] ~= 'organic' then return {'unknown'} end
if job[1] ~= 'waiting' and job[1] ~= 'running' then return {job[1]} end
local now = now_ms()
if job[1] == 'running' then take_fence(job[3]) end
redis.call('ZREM', organic_key, id)
redis.call('ZREM', organic_deadline_key, id)
redis.call('ZREM', lease_key, id)
redis.call('HSET', hash, 'state', 'cancelled', 'finished', now, 'bytes', reply_position(id).bytes)
redis.call('XADD', reply_key(id), '*', 'end', 'cancelled')
redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
redis.call('UNLINK', payload_key(id))
if job[1] == 'running' and job[3] then
  local wake = worker_wake_key(job[3])
  redis.call('ZADD', wake, 0, id)
  redis.call('EXPIRE', wake, 60)
end
return {'cancelled'}
