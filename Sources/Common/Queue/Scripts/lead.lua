-- lead: take or keep a single role.
-- Guarantee: at most one live token per role.
-- KEYS lease (names the shard)
-- ARGS 1 role  2 token  3 life, ms; 0 gives the role back
-- RETURNS 1 when the token holds the role, else 0
local role, token, life = take(), take(), take_int()
local key = leader_key(role)
local holder = redis.call('GET', key)
if holder and holder ~= token then return 0 end
if life == 0 then
  redis.call('DEL', key)
  return 0
end
redis.call('SET', key, token, 'PX', life)
return 1
