-- settle_check: a verdict, or that there is none, to the ledger.
-- Guarantee: exactly one verdict entry for each answer that was taken for checking. The miner's running mean
--   at the task, by which requests are routed, moves with each verdict.
-- KEYS lease, ledger, counts, checks, checks:begun, verdicts
-- ARGS 1 id  2 token  3 judged | unjudged | failed  4 raw score or ''
-- RETURNS 1, or 0 when the lease was lost
-- The mean is of about as many of the latest verdicts.
local MEAN_OF = 8
-- Most miners whose mean is kept for a task.
local MINERS_MAX = 1024

local function move_mean(task, hotkey, value)
  local key = quality_key(task)
  local known = redis.call('HGET', key, hotkey)
  if not known and redis.call('HLEN', key) > MINERS_MAX then
    local other = redis.call('HRANDFIELD', key)
    if other ~= '' then redis.call('HDEL', key, other) end
  end
  local mean, count = string.match(known or '', '^(%S+) (%d+)')
  count = tonumber(count or '0') + 1
  mean = tonumber(mean or '0')
  mean = mean + (value - mean) / math.min(count, MEAN_OF)
  redis.call('HSET', key, hotkey, string.format('%.6f %d', mean, count))
  -- The field without a name counts the changes: a reader that knows the number knows the rest.
  redis.call('HINCRBY', key, '', 1)
  redis.call('EXPIRE', key, 604800)
end

local id, token, state, score = take(), take(), take(), take()
local hash = job_key(id)
local job = redis.call('HMGET', hash, 'state', 'token', 'fields', 'size', 'task', 'hotkey', 'kind', 'remote')
if job[1] ~= 'running' or job[2] ~= token or job[7] ~= 'check' then return 0 end
local fields, size = job[3] and cmsgpack.unpack(job[3]) or {}, tonumber(job[4] or '0')
redis.call('ZREM', lease_key, id)
forget_begun(id, job[8])
redis.call('UNLINK', hash, answer_key(id))
redis.call('HINCRBY', checks_key, 'bytes', -size)
redis.call('HINCRBY', checks_key, state, 1)
redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'verdict', 'check', id, 'state', state, 'score', score,
  unpack(fields))
redis.call('HINCRBY', counts_key, 'verdict', 1)
if state == 'judged' and job[5] and job[6] then
  local value = tonumber(score)
  -- A score that is not finite is no verdict.
  if value and value == value and math.abs(value) ~= math.huge then
    move_mean(job[5], job[6], math.min(1, math.max(0, value)))
  end
  redis.call('HINCRBY', verdicts_key, job[5] .. '|' .. job[6], 1)
  -- Counted anew each day: fairness needs no more, and hotkeys come and go.
  redis.call('EXPIRE', verdicts_key, 86400, 'NX')
end
return 1
