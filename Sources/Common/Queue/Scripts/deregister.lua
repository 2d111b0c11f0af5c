-- deregister: a period's miner is no longer to be queried.
-- Guarantee: only the producer's leader writes; the miner's queries are skipped from the next claim on.
-- KEYS periods
-- ARGS 1 leader token  2 period  3 list of miner indexes (0…100)
-- RETURNS how many were new; -1 without the role
local token, period = take(), take()
local miners = take_list()
if not leads('producer', token) then return -1 end
local left, volume, count = redis.call('PTTL', period_key(period)), volume_key(period), 0
-- Without its period, or beyond its life, the record would stay for ever.
if left == -2 then return 0 end
for index = 1, math.min(#miners, 100) do
  count = count + redis.call('HSETNX', volume, 'gone:' .. miners[index], 1)
end
if left > 0 then redis.call('PEXPIRE', volume, left) end
return count
