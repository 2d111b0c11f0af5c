-- settle: end jobs, with the ledger entries of their attempts, the sample for checking and the reply's
--   last entry, all or nothing for each job.
-- Guarantee: only the holder of a job's token can end it, and only once; a planned query is counted once.
--   A job that was cancelled meanwhile stays cancelled, its usage is counted, and its last attempt is neutral
--   for the miner.
--   An organic's reply always gets a terminal entry.
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
  if not work or work <= 0 or not attempt.miner then return end
  local left, volume = redis.call('PTTL', period_key(attempt.period)), volume_key(attempt.period)
  -- Work of a period that is gone counts for nothing, and its record would stay for ever.
  if left == -2 then return end
  redis.call('HINCRBY', volume, 'used:' .. attempt.task .. ':' .. attempt.miner, work)
  if left > 0 then redis.call('PEXPIRE', volume, left) end
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

local function count(text) return math.floor(tonumber(text or '0') or 0) end

-- What a request used, for its account and for whoever asks where it stands.
local function note_usage(hash, entry)
  local job = redis.call('HMGET', hash, 'account', 'task')
  local prompt_tokens, completion_tokens = count(entry.prompt_tokens), count(entry.completion_tokens)
  redis.call('HSET', hash, 'status', entry.status or '', 'prompt_tokens', prompt_tokens,
    'completion_tokens', completion_tokens)
  count_usage(job[1], job[2], prompt_tokens, completion_tokens)
end

local function end_organic(id, hash, state, last, fence)
  local entry = named(last)
  if not entry['end'] then
    last[#last + 1] = 'end'
    last[#last + 1] = state
  end
  redis.call('HSET', hash, 'state', state, 'finished', now, 'bytes', reply_position(fence).bytes)
  redis.call('HDEL', hash, 'token', 'worker', 'fence')
  redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
  redis.call('UNLINK', payload_key(id))
  redis.call('XADD', reply_key(id), '*', unpack(last))
  redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
  note_usage(hash, entry)
end

-- The last attempt of a job that was cancelled says nothing about the miner, also when it was complete.
local function neutral(fields)
  for index = 1, #fields, 2 do
    local name = fields[index]
    if name == 'outcome' then fields[index + 1] = 'cancelled' end
    if name == 'work' or name == 'units' then fields[index + 1] = 0 end
  end
end

local function settle_one(id, token, state, attempts, sample, last)
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'state', 'token', 'kind', 'fence')
  if job[2] ~= token then return 'lost' end
  if job[1] == 'cancelled' then
    redis.call('HDEL', hash, 'token')
    if #attempts > 0 then neutral(attempts[#attempts]) end
    for _, fields in ipairs(attempts) do write_attempt(fields) end
    if job[3] == 'organic' then note_usage(hash, named(last)) end
    return 'cancelled'
  end
  local period = parse_synthetic(id)
  if job[1] ~= 'running' or (job[3] ~= 'organic' and not period) then return 'lost' end
  for _, fields in ipairs(attempts) do
    write_attempt(fields)
    add_volume(named(fields))
  end
  redis.call('ZREM', lease_key, id)
  if #sample > 0 then add_sample(sample, attempts[#attempts]) end
  if job[3] == 'organic' then
    end_organic(id, hash, state, last, job[4])
  else
    redis.call('DEL', hash)
    count_settled(period, state == 'done' and 'done' or 'failed')
  end
  return 'ok'
end

local jobs = {}
for index = 1, math.min(take_int(), 50) do
  local job = {take(), take(), take(), {}}
  for number = 1, math.min(take_int(), 100) do job[4][number] = take_list() end
  job[5], job[6] = take_list(), take_list()
  jobs[index] = job
end
for index, job in ipairs(jobs) do
  results[index] = settle_one(job[1], job[2], job[3], job[4], job[5], job[6])
end
return results
