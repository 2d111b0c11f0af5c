-- close_period: end a period for good.
-- Guarantee: one `closed` entry for each period; only the producer's leader writes; before the period's end
--   nothing happens; while queries are unsettled it closes only when told that their time is up.
-- KEYS periods, ledger, counts
-- ARGS 1 leader token  2 period  3 1 to close with unsettled queries, else 0  4 seconds to keep its record
-- RETURNS {'stale'} | {'unknown'} | {'closed'} | {'open', unsettled queries}
local token, period, forced, keep = take(), take(), take_int(), take_int()
if not leads('producer', token) then return {'stale'} end
local hash = period_key(period)
local record = redis.call('HMGET', hash, 'state', 'end', 'planned', 'done', 'failed', 'skipped', 'expired', 'dead')
if not record[1] then return {'unknown'} end
if record[1] == 'closed' then return {'closed'} end
local settled = 0
for index = 4, 8 do settled = settled + tonumber(record[index] or '0') end
local unsettled = tonumber(record[3]) - settled
if now_ms() < tonumber(record[2]) or (unsettled > 0 and forced ~= 1) then return {'open', unsettled} end
redis.call('HSET', hash, 'state', 'closed', 'closed', now_ms())
redis.call('ZREM', periods_key, period)
redis.call('EXPIRE', hash, keep)
redis.call('EXPIRE', volume_key(period), keep)
redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'closed', 'period', period)
redis.call('HINCRBY', counts_key, 'closed', 1)
return {'closed'}
