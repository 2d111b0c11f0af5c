-- sweep: settle what a period left unsent.
-- Guarantee: only queries of periods that ended are touched; each is settled once, as expired.
-- KEYS due, ledger, counts
-- ARGS 1 leader token  2 period  3 most queries (1…100)
-- RETURNS the count of queries settled; -1 without the role; -2 before the period's end
local token, period, limit = take(), take(), math.min(take_int(), 100)
if not leads('producer', token) then return -1 end
local now = now_ms()
local last = period_end(period)
if now < last then return -2 end
local count = 0
for _, id in ipairs(redis.call('ZRANGE', due_key, '-inf', '(' .. last, 'BYSCORE', 'LIMIT', 0, limit)) do
  local owner = parse_synthetic(id)
  if owner and tonumber(owner) <= tonumber(period) then
    redis.call('ZREM', due_key, id)
    skip_query(id, owner, 'expired')
    count = count + 1
  end
end
return count
