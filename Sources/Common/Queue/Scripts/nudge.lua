-- nudge: wake a worker's own listener, which shall wait for other lanes.
-- Guarantee: the marker lasts a minute, so a worker that is killed before it takes it leaves nothing behind.
-- KEYS wake:organic (names the shard; the marker is in the worker's own lane)
-- ARGS 1 worker id
-- RETURNS 1
local wake = worker_wake_key(take())
redis.call('ZADD', wake, 0, '')
return redis.call('EXPIRE', wake, 60)
