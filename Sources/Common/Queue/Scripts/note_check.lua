-- note_check: remember what the checking server calls a check, before it is asked for the result.
-- Guarantee: only the token's holder can; whoever claims for that server next is given this check first, for
--   as long as it has no verdict.
-- KEYS lease, checks:begun
-- ARGS 1 id  2 token  3 the server and its task id with a space between, '' to forget both
--      4 how often servers have tried so far
-- RETURNS 1, or 0 when the lease was lost
local id, token, remote, tries = take(), take(), take(), take_int()
local job = redis.call('HMGET', job_key(id), 'state', 'token', 'remote')
if job[1] ~= 'running' or job[2] ~= token then return 0 end
redis.call('HSET', job_key(id), 'remote', remote, 'tries', tries)
forget_begun(id, job[3])
local server = string.match(remote, '^(%S+) ')
if server then
  redis.call('HSET', checks_begun_key, server, id)
  -- Servers come and go, and forget a check sooner than this.
  redis.call('EXPIRE', checks_begun_key, 86400)
end
return 1
