-- inspect: where some jobs stand, for the checker of the queue's invariants.
-- Guarantee: all of one call is seen at one moment; nothing is changed.
-- KEYS organic, organic:deadline, due, lease, dead
-- ARGS 1 list of job ids (1…100)
-- RETURNS for each job a list: state, kind, task, token, 1 when it has a life limit, its scores in organic,
--   organic:deadline, due, lease, dead and the lane of its task, 1 when it has a payload, 1 when it has an
--   answer, size of its answer as recorded, bytes that it keeps in the dead list, 1 when its reply ended,
--   1 when its reply exists, type of its record; '' for what is missing
local ids = take_list()
local reply = {}
for index = 1, math.min(#ids, 100) do
  local id = ids[index]
  local hash = job_key(id)
  local kind = redis.call('TYPE', hash).ok
  local job = try('HMGET', hash, 'state', 'kind', 'task', 'token', 'size', 'kept') or {}
  local position = reply_position(id)
  reply[index] = {
    job[1] or '', job[2] or '', job[3] or '', job[4] or '', redis.call('PTTL', hash) > 0 and 1 or 0,
    redis.call('ZSCORE', organic_key, id) or '', redis.call('ZSCORE', organic_deadline_key, id) or '',
    redis.call('ZSCORE', due_key, id) or '', redis.call('ZSCORE', lease_key, id) or '',
    redis.call('ZSCORE', dead_key, id) or '', job[3] and try('ZSCORE', check_key(job[3]), id) or '',
    redis.call('EXISTS', payload_key(id)), redis.call('EXISTS', answer_key(id)), job[5] or '', job[6] or '',
    position.ending and 1 or 0, position.exists and 1 or 0, kind,
  }
end
return reply
