-- checkpoint: save the aggregator's state together with how far it read.
-- Guarantee: only the aggregator's leader writes, and only forward from where its state began; a crash
--   repeats nothing and skips nothing. Published weights change in the same step.
-- KEYS fold, weights, weights:meta, weights:history, proven
-- ARGS 1 leader token  2 cursor that the state was read with ('' at first)  3 new cursor  4 state
--      5 1 to publish a result with weights, 2 with the weights left as they are, else 0
--      6 most results kept  7 result (JSON)
--      8 list of field, value pairs of the weights  9 list of field, value pairs about them
--      10 proven volumes (JSON), '' to leave those that are there
-- RETURNS 'ok' | 'stale' (not the leader) | 'moved' (somebody else saved: reload)
local token, from, to, state, publish = take(), take(), take(), take(), take_int()
local keep, result = take_int(), take()
local weights, meta, proven = take_list(), take_list(), take()
if #weights % 2 ~= 0 or #meta % 2 ~= 0 then error('a field without a value') end
if not leads('aggregator', token) then return 'stale' end
local cursor = redis.call('HGET', fold_key, 'cursor') or ''
if cursor ~= from then return cursor == to and 'ok' or 'moved' end
redis.call('HSET', fold_key, 'v', 1, 'cursor', to, 'state', state, 'saved', now_ms())
if publish == 1 then
  redis.call('DEL', weights_key)
  for index = 1, #weights, 200 do
    redis.call('HSET', weights_key, unpack(weights, index, math.min(index + 199, #weights)))
  end
end
if publish > 0 then
  redis.call('DEL', weights_meta_key)
  redis.call('HSET', weights_meta_key, 'v', 1, unpack(meta))
  -- A repeat whose cursor did not move comes here again.
  if redis.call('LINDEX', weights_history_key, 0) ~= result then
    redis.call('LPUSH', weights_history_key, result)
  end
  redis.call('LTRIM', weights_history_key, 0, keep - 1)
  if proven ~= '' then redis.call('SET', proven_key, proven) end
end
return 'ok'
