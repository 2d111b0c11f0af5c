-- pause: stop or start a class of work.
-- Guarantee: takes effect with the next claim or submit; nothing running is touched.
-- KEYS paused, wake:organic, wake:due, wake:check
-- ARGS 1 organic | synthetic | check | intake  2 1 to pause, 0 to resume
-- RETURNS 1 when that changed something, else 0
local class, on = take(), take_int()
if class ~= 'organic' and class ~= 'synthetic' and class ~= 'check' and class ~= 'intake' then
  error('no such class of work: ' .. class)
end
if on == 1 then return redis.call('SADD', paused_key, class) end
local changed = redis.call('SREM', paused_key, class)
redis.call('ZADD', wake_organic_key, 0, 'organic')
redis.call('ZADD', wake_due_key, 0, 'due')
redis.call('ZADD', wake_check_key, 0, 'check')
return changed
