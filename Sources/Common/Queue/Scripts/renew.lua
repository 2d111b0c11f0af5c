-- renew: a worker's heartbeat, and the leases of all its jobs.
-- Guarantee: only a job whose token is still valid is renewed; nothing is shortened.
-- KEYS lease
-- ARGS 1 worker id  2 heartbeat's life, ms  3 list of name, value pairs for the worker's record
--      4 count of jobs (0…200), then for each: id, token, lease ms
-- RETURNS {now ms, id, 'lost' | 'cancelled', …} for the jobs that are no longer the worker's
local worker, life = take(), take_int()
local record = take_list()
local jobs = {}
for index = 1, math.min(take_int(), 200) do jobs[index] = {take(), take(), take_int()} end
local now = now_ms()
local reply, leases = {now}, {}
local hash = worker_key(worker)
redis.call('HSET', hash, 'v', 1, 'beat', now, unpack(record))
redis.call('PEXPIRE', hash, life)
for _, job in ipairs(jobs) do
  local known = redis.call('HMGET', job_key(job[1]), 'state', 'token')
  if known[2] == job[2] and known[1] == 'running' then
    leases[#leases + 1] = string.format('%.0f', now + job[3])
    leases[#leases + 1] = job[1]
  else
    reply[#reply + 1] = job[1]
    reply[#reply + 1] = known[2] == job[2] and known[1] == 'cancelled' and 'cancelled' or 'lost'
  end
end
if #leases > 0 then redis.call('ZADD', lease_key, 'GT', unpack(leases)) end
return reply
