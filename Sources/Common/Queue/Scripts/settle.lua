-- settle: end jobs, with the ledger entries of their attempts, the sample for checking and the reply's
--   last entry, all or nothing for each job.
-- Guarantee: only the holder of a job's token can end it, and only once; a planned query is counted once.
--   A job that was cancelled meanwhile takes its attempts as neutral entries and stays cancelled.
-- KEYS lease, ledger, counts, checks, wake:check, usage
-- ARGS 1 count of jobs (1…50), then for each job:
--      id, token, new state (done | failed | interrupted), attempts, for each attempt a list
--      (count, field, value, …; of these period, task, miner and work are read here),
--      a list for the sample (0, or: check id, task, hotkey, most waiting checks of the task, most bytes of
--      all answers, answer bytes) and a list for the reply's last entry (0, or field, value, …)
-- RETURNS one of 'ok', 'lost', 'cancelled' for each job
local now = now_ms()
local results = {}

local function write_attempt(fields)
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'attempt', unpack(fields))
  redis.call('HINCRBY', counts_key, 'attempt', 1)
end

-- An attempt's fields as a table.
local function named(fields)
  local result = {}
  for index = 1, #fields, 2 do result[fields[index]] = fields[index + 1] end
  return result
end

local function add_volume(attempt)
  local work = tonumber(attempt.work)
  if work and work > 0 and attempt.miner then
    redis.call('HINCRBY', volume_key(attempt.period), 'used:' .. attempt.task .. ':' .. attempt.miner, work)
  end
end

local function add_sample(sample, fields)
  local id, task, hotkey = sample[1], sample[2], sample[3]
  local waiting_max, bytes_max, answer = tonumber(sample[4]), tonumber(sample[5]), sample[6]
  local lane = check_key(task)
  local bytes = tonumber(redis.call('HGET', checks_key, 'bytes') or '0')
  if redis.call('ZCARD', lane) >= waiting_max or bytes + #answer > bytes_max then
    redis.call('HINCRBY', checks_key, 'dropped', 1)
    return
  end
  redis.call('SET', answer_key(id), answer)
  redis.call('HINCRBY', checks_key, 'bytes', #answer)
  redis.call('HINCRBY', checks_key, 'waiting:' .. task, 1)
  redis.call('HSET', job_key(id), 'v', 1, 'kind', 'check', 'state', 'waiting', 'task', task, 'hotkey', hotkey,
    'created', now, 'size', #answer, 'fields', cmsgpack.pack(fields))
  redis.call('ZADD', lane, now, id)
  redis.call('ZADD', wake_check_key, 0, 'check')
end

local function end_organic(id, hash, state, last)
  redis.call('HSET', hash, 'state', state, 'finished', now)
  redis.call('HDEL', hash, 'token', 'worker')
  redis.call('UNLINK', payload_key(id))
  if #last > 0 then
    redis.call('XADD', reply_key(id), '*', unpack(last))
    redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
    local entry = named(last)
    local account = redis.call('HGET', hash, 'account')
    local name = (account or '') .. '|' .. (redis.call('HGET', hash, 'task') or '') .. '|'
    redis.call('HINCRBY', usage_key, name .. 'requests', 1)
    redis.call('HINCRBY', usage_key, name .. 'prompt_tokens', tonumber(entry.prompt_tokens or '0'))
    redis.call('HINCRBY', usage_key, name .. 'completion_tokens', tonumber(entry.completion_tokens or '0'))
  end
  redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
end

local function settle_one(id, token, state, attempts, sample, last)
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'state', 'token', 'kind')
  if job[2] ~= token then return 'lost' end
  if job[1] == 'cancelled' then
    redis.call('HDEL', hash, 'token')
    for _, fields in ipairs(attempts) do write_attempt(fields) end
    return 'cancelled'
  end
  if job[1] ~= 'running' then return 'lost' end
  for _, fields in ipairs(attempts) do
    write_attempt(fields)
    add_volume(named(fields))
  end
  redis.call('ZREM', lease_key, id)
  if #sample > 0 then add_sample(sample, attempts[#attempts]) end
  if job[3] == 'organic' then
    end_organic(id, hash, state, last)
  else
    redis.call('DEL', hash)
    redis.call('HINCRBY', period_key(parse_synthetic(id)), state == 'done' and 'done' or 'failed', 1)
  end
  return 'ok'
end

local jobs = {}
for index = 1, math.min(take_int(), 50) do
  local job = {take(), take(), take(), {}}
  for number = 1, take_int() do job[4][number] = take_list() end
  job[5], job[6] = take_list(), take_list()
  jobs[index] = job
end
for index, job in ipairs(jobs) do
  results[index] = settle_one(job[1], job[2], job[3], job[4], job[5], job[6])
end
return results
