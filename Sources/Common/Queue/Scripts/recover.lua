-- recover: take jobs back whose lease ran out, and restore markers that were lost.
-- Guarantee: a job with a live lease is not touched; a job is taken back once; no attempt is burned; a crash
--   counts only when the worker's heartbeat is gone, and the third one is the last. An organic whose reply
--   has content is not run again: it ends as interrupted, with a neutral entry. A query whose period ended
--   is settled as expired.
-- KEYS lease, organic, organic:deadline, due, dead, dead:bytes, ledger, counts, wake:organic, wake:due,
--   wake:check, recovering, checks, usage
-- ARGS 1 least time between two passes, ms  2 most jobs (1…100)
-- RETURNS {jobs taken back, jobs given up, organics interrupted, 1 when there may be more}, or {-1} when
--   another worker's pass was too recent
local pause, limit = take_int(), math.min(take_int(), 100)
if not redis.call('SET', recovering_key, '1', 'NX', 'PX', pause) then return {-1} end
local now = now_ms()
local back, dead, interrupted = 0, 0, 0

local function give_up(id, kind, hash, reason)
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'dead', 'job', id, 'kind', kind, 'reason', reason)
  redis.call('HINCRBY', counts_key, 'dead', 1)
  redis.call('HSET', hash, 'state', 'dead', 'reason', reason, 'finished', now)
  redis.call('HDEL', hash, 'token', 'worker')
  redis.call('ZADD', dead_key, now, id)
  -- What a dead job keeps no longer counts against the answers that wait to be checked.
  local kept = redis.call('STRLEN', payload_key(id)) + redis.call('STRLEN', answer_key(id))
  redis.call('HSET', hash, 'kept', kept)
  redis.call('INCRBY', dead_bytes_key, kept)
  if kind == 'check' then redis.call('HINCRBY', checks_key, 'bytes', -kept) end
  local period = parse_synthetic(id)
  if period then count_settled(period, 'dead') end
  if kind == 'organic' then
    redis.call('XADD', reply_key(id), '*', 'end', 'dead', 'error', reason)
    redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
  end
  dead = dead + 1
end

local function take_back(id, kind, hash, job)
  redis.call('HSET', hash, 'state', 'waiting')
  redis.call('HDEL', hash, 'token', 'worker')
  if kind == 'organic' then
    redis.call('ZADD', organic_key, job[4] or 0, id)
    if job[6] then redis.call('ZADD', organic_deadline_key, job[6], id) end
    redis.call('ZADD', wake_organic_key, 0, 'organic')
  elseif kind == 'check' then
    redis.call('ZADD', check_key(job[7]), now, id)
    redis.call('HINCRBY', checks_key, 'waiting:' .. job[7], 1)
    redis.call('ZADD', wake_check_key, 0, 'check')
  else
    redis.call('ZADD', due_key, now, id)
    redis.call('ZADD', wake_due_key, 'LT', now, 'due')
  end
  back = back + 1
end

local function interrupt(id, hash, job, reply)
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'dead', 'job', id, 'kind', 'organic',
    'reason', 'interrupted')
  redis.call('HINCRBY', counts_key, 'dead', 1)
  -- Four characters make about a token, as where the worker counts them.
  local prompt_tokens = math.max(1, math.floor(redis.call('STRLEN', payload_key(id)) / 4))
  count_usage(job[8], job[7], prompt_tokens, reply.tokens, 1)
  redis.call('XADD', reply_key(id), '*', 'end', 'interrupted', 'error', 'the worker stopped in mid-answer',
    'status', 500, 'pieces', reply.pieces, 'bytes', reply.bytes, 'prompt_tokens', prompt_tokens,
    'completion_tokens', reply.tokens)
  redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
  redis.call('HSET', hash, 'state', 'interrupted', 'finished', now, 'status', 500, 'prompt_tokens', prompt_tokens,
    'completion_tokens', reply.tokens, 'bytes', reply.bytes)
  redis.call('HDEL', hash, 'token', 'worker')
  redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
  redis.call('UNLINK', payload_key(id))
  interrupted = interrupted + 1
end

local ids = redis.call('ZRANGE', lease_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
for _, id in ipairs(ids) do
  redis.call('ZREM', lease_key, id)
  local hash, period = job_key(id), parse_synthetic(id)
  local job = try('HMGET', hash, 'state', 'kind', 'worker', 'order', 'crashes', 'deadline', 'task', 'account') or {}
  if job[1] == 'running' then
    local crashes = tonumber(job[5] or '0')
    if redis.call('EXISTS', worker_key(job[3] or '')) == 0 then
      crashes = redis.call('HINCRBY', hash, 'crashes', 1)
    end
    local reply = job[2] == 'organic' and reply_position(id)
    if reply then take_fence(job[3]) end
    if reply and reply.pieces > 0 then
      interrupt(id, hash, job, reply)
    elseif crashes >= CRASHES_MAX then
      give_up(id, job[2], hash, 'left behind by ' .. crashes .. ' workers that died')
    elseif period and now >= period_end(period) then
      skip_query(id, period, 'expired')
      back = back + 1
    else
      take_back(id, job[2], hash, job)
    end
  end
end
if redis.call('EXISTS', organic_key) == 1 then redis.call('ZADD', wake_organic_key, 0, 'organic') end
local head = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')
if head[2] then redis.call('ZADD', wake_due_key, 'LT', head[2], 'due') end
local lanes = redis.call('HGETALL', checks_key)
for index = 1, #lanes, 2 do
  if string.sub(lanes[index], 1, 8) == 'waiting:' and tonumber(lanes[index + 1]) > 0 then
    redis.call('ZADD', wake_check_key, 'LT', now, 'check')
  end
end
for _ = 1, 100 do
  local kept = tonumber(redis.call('GET', dead_bytes_key) or '0')
  if redis.call('ZCARD', dead_key) <= DEAD_MAX and kept <= DEAD_BYTES_MAX then break end
  local oldest = redis.call('ZRANGE', dead_key, 0, 0)[1]
  if not oldest then break end
  forget_dead(oldest)
end
return {back, dead, interrupted, #ids == limit and 1 or 0}
