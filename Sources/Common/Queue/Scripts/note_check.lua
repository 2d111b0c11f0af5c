-- note_check: remember what the checking server calls a check, before it is asked for the result.
-- Guarantee: only the token's holder can.
-- KEYS lease (names the shard)
-- ARGS 1 id  2 token  3 the server's task id, '' to forget it  4 how often servers have tried so far
-- RETURNS 1, or 0 when the lease was lost
local id, token, remote, tries = take(), take(), take(), take_int()
local job = redis.call('HMGET', job_key(id), 'state', 'token')
if job[1] ~= 'running' or job[2] ~= token then return 0 end
redis.call('HSET', job_key(id), 'remote', remote, 'tries', tries)
return 1
