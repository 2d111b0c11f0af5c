-- release: a worker hands jobs back that it will not finish.
-- Guarantee: only the token's holder can; no attempt is burned; the job waits again at its old place. An
--   organic whose reply has content cannot be run again: it is refused here and must be settled. A query
--   that could run again only after its period is settled as expired.
-- KEYS lease, organic, organic:deadline, due, wake:organic, wake:due, wake:check, checks, ledger, counts
-- ARGS 1 count of jobs (1…100), then for each: id, token, earliest time to run again (Unix ms)
-- RETURNS for each job 'ok', 'lost' or 'has_content'
local jobs = {}
for index = 1, math.min(take_int(), 100) do jobs[index] = {take(), take(), take_int()} end
local now, results = now_ms(), {}
local function release_one(id, token, at)
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'state', 'token', 'kind', 'order', 'deadline', 'task', 'attempt')
  if job[1] == 'cancelled' and job[2] == token then redis.call('HDEL', hash, 'token') end
  if job[1] ~= 'running' or job[2] ~= token then return 'lost' end
  if job[3] == 'organic' and reply_position(id).pieces > 0 then return 'has_content' end
  redis.call('ZREM', lease_key, id)
  local period = parse_synthetic(id)
  if period and math.max(at, now) >= period_end(period) then
    skip_query(id, period, 'expired')
    return 'ok'
  end
  redis.call('HSET', hash, 'state', 'waiting', 'attempt', math.max(0, tonumber(job[7] or '1') - 1))
  redis.call('HDEL', hash, 'token', 'worker')
  if job[3] == 'organic' then
    redis.call('ZADD', organic_key, job[4] or 0, id)
    if job[5] then redis.call('ZADD', organic_deadline_key, job[5], id) end
    redis.call('ZADD', wake_organic_key, 0, 'organic')
  elseif job[3] == 'check' then
    redis.call('ZADD', check_key(job[6]), at, id)
    redis.call('HINCRBY', checks_key, 'waiting:' .. job[6], 1)
    redis.call('ZADD', wake_check_key, 'LT', at, 'check')
  else
    redis.call('ZADD', due_key, at, id)
    redis.call('ZADD', wake_due_key, 'LT', at, 'due')
  end
  return 'ok'
end
for index, job in ipairs(jobs) do results[index] = release_one(job[1], job[2], job[3]) end
return results
