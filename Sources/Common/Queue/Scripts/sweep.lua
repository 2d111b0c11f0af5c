-- sweep: settle what a period left unsent.
-- Guarantee: only queries of periods that ended are touched; each is settled once, as expired.
-- KEYS due, ledger, counts
-- ARGS 1 leader token  2 period  3 most queries (1…100)
-- RETURNS the count of queries settled; -1 without the role; -2 before the period's end
local token, period, limit = take(), take(), math.min(take_int(), 100)
if not leads('producer', token) then return -1 end
local now = now_ms()
local last = tonumber(redis.call('HGET', period_key(period), 'end') or '0')
if now < last then return -2 end
local count = 0
for _, id in ipairs(redis.call('ZRANGE', due_key, '-inf', '(' .. last, 'BYSCORE', 'LIMIT', 0, limit)) do
  local owner = parse_synthetic(id)
  if owner and tonumber(owner) <= tonumber(period) then
    redis.call('ZREM', due_key, id)
    redis.call('DEL', job_key(id))
    redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'skip', 'job', id, 'reason', 'expired')
    redis.call('HINCRBY', counts_key, 'skip', 1)
    redis.call('HINCRBY', period_key(owner), 'expired', 1)
    count = count + 1
  end
end
return count
