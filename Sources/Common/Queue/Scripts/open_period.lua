-- open_period: store what a period is planned from.
-- Guarantee: the first stored plan and seed win; only the producer's leader writes; the ledger gets one
--   `opened` entry for each period. Refused (OOM) when more than 80 % of Redis's memory is used.
-- KEYS periods, ledger, counts, pace
-- ARGS 1 leader token  2 period  3 start, Unix ms  4 end, Unix ms  5 planned queries  6 snapshot (JSON)
--      7 seed  8 synthetics per second at most  9 burst
-- RETURNS {'stale'} without the role, else {'stored' | 'known', snapshot, seed}
local token, period = take(), take()
local first, last, planned, snapshot, seed = take_int(), take_int(), take_int(), take(), take()
local rate, burst = tonumber(take()), tonumber(take())
if not rate or not burst or rate ~= rate or burst ~= burst then error('the pace is no number') end
rate, burst = math.min(math.max(rate, 0.001), 1000000), math.min(math.max(burst, 1), 1000000)
if not leads('producer', token) then return {'stale'} end
local hash = period_key(period)
local known = redis.call('HMGET', hash, 'snapshot', 'seed')
if known[1] then return {'known', known[1], known[2]} end
if is_memory_short(now_ms(), 0) then return redis.error_reply('OOM more than 80 % of the memory is used: no period is opened') end
redis.call('HSET', hash, 'v', 1, 'state', 'planning', 'start', first, 'end', last, 'planned', planned,
  'snapshot', snapshot, 'seed', seed, 'next', 0)
redis.call('ZADD', periods_key, first, period)
redis.call('HSET', pace_key, 'per_second', rate, 'burst', burst, 'tokens', burst, 'at', now_ms())
redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'opened', 'period', period, 'snapshot', snapshot)
redis.call('HINCRBY', counts_key, 'opened', 1)
return {'stored', snapshot, seed}
