-- settle: end jobs, with the ledger entries of their attempts, the sample for checking and the reply's
--   last entry, all or nothing for each job.
-- Guarantee: only the holder of a job's token can end it, and only once; a planned query is counted once.
--   A job that was cancelled meanwhile stays cancelled, its usage is counted, and its last attempt is neutral
--   for the miner.
--   An organic's reply always gets a terminal entry.
-- KEYS lease, ledger, counts, checks, wake:check, usage
-- ARGS 1 count of jobs (1…50), then for each job:
--      id, token, new state (done | failed | interrupted), attempts, for each attempt a list of the values of
--      its ledger entry (13, then job, kind, period, task, miner, hotkey, outcome, status, work, units, first_ms,
--      total_ms, settles), a list for the sample (0, or: check id, task, hotkey, most waiting checks of the task, most bytes of
--      all answers, answer bytes) and a list for the reply's last entry (0, or field, value, …)
-- RETURNS place (from 1) and 'lost' or 'cancelled', … for each job that was not just ended
local call, ARGV, tonumber, pcall, floor = redis.call, ARGV, tonumber, pcall, math.floor
local now, results = now_ms(), {}
-- What many jobs pass on is text: Redis writes each number that it gets from Lua as a float.
local now_text, tombstone_text = string.format('%.0f', now), tostring(TOMBSTONE_SECONDS)

-- A count among the arguments.
local function count_at(at)
  local value = tonumber(ARGV[at])
  if value == nil or value ~= floor(value) then
    error('argument ' .. at .. ' is no integer: ' .. tostring(ARGV[at]))
  end
  return value
end

-- Where the parts of each job begin: its id (token and state follow), its first attempt and how many there are, its
-- sample and its reply's last entry with their lengths. All are read before the first write.
local VALUES, ATTEMPTS_MAX, SAMPLE_VALUES = 13, 100, 6
-- Where an attempt's values stand, from its first one.
local PERIOD, TASK, MINER, OUTCOME, WORK, UNITS = 2, 3, 4, 6, 8, 9
local jobs = math.min(count_at(1), 50)
local ids, attempts, samples, samples_size, lasts, lasts_size = {}, {}, {}, {}, {}, {}
local at = 2
for index = 1, jobs do
  ids[index], attempts[index] = at, count_at(at + 3)
  if attempts[index] > ATTEMPTS_MAX then error('a job has more attempts than ' .. ATTEMPTS_MAX) end
  at = at + 4
  for _ = 1, attempts[index] do
    if count_at(at) ~= VALUES then error('an attempt has other values than the ledger') end
    count_at(at + 1 + WORK)
    at = at + 1 + VALUES
  end
  samples[index], samples_size[index] = at + 1, count_at(at)
  if samples_size[index] ~= 0 and (samples_size[index] ~= SAMPLE_VALUES or attempts[index] == 0) then
    error('a sample has other values, or no attempt')
  end
  at = at + 1 + samples_size[index]
  lasts[index], lasts_size[index] = at + 1, count_at(at)
  at = at + 1 + lasts_size[index]
end

-- What the jobs of a call have in common is written once, at its end: leases that end, records and requests
-- that go, and sums by period and by account.
local leases, records, payloads, attempts_written = {}, {}, {}, 0
local ended, planned_ended, organics_ended = 0, 0, 0
local done, failed, used, seen = {}, {}, {}, {}

-- The fields and values of an attempt's ledger entry.
local function attempt_fields(first)
  local job, kind, period, task, miner, hotkey, outcome, status, work, units, first_ms, total_ms, settles =
    unpack(ARGV, first, first + VALUES - 1)
  return 'job', job, 'kind', kind, 'period', period, 'task', task, 'miner', miner, 'hotkey', hotkey,
    'outcome', outcome, 'status', status, 'work', work, 'units', units, 'first_ms', first_ms,
    'total_ms', total_ms, 'settles', settles
end

local function write_attempt(first)
  call('XADD', ledger_key, '*', 'v', '1', 'type', 'attempt', attempt_fields(first))
  attempts_written = attempts_written + 1
end

local lives = {}
local function add_volume(first)
  local work = ARGV[first + WORK]
  if tonumber(work) <= 0 then return end
  local period = ARGV[first + PERIOD]
  -- Work of a period that is gone counts for nothing, and its record would stay for ever.
  if not lives[period] then lives[period] = call('PTTL', period_key(period)) end
  if lives[period] == -2 then return end
  call('HINCRBY', volume_key(period), 'used:' .. ARGV[first + TASK] .. ':' .. ARGV[first + MINER], work)
end

local function add_sample(first, attempt)
  local id, task, hotkey, answer = ARGV[first], ARGV[first + 1], ARGV[first + 2], ARGV[first + 5]
  local waiting_max, bytes_max = tonumber(ARGV[first + 3]), tonumber(ARGV[first + 4])
  local lane = check_key(task)
  local bytes = tonumber(call('HGET', checks_key, 'bytes') or '0')
  if call('ZCARD', lane) >= waiting_max or bytes + #answer > bytes_max then
    call('HINCRBY', checks_key, 'dropped', 1)
    return
  end
  call('SET', answer_key(id), answer)
  call('HINCRBY', checks_key, 'bytes', #answer)
  call('HINCRBY', checks_key, 'waiting:' .. task, 1)
  call('HSET', job_key(id), 'v', 1, 'kind', 'check', 'state', 'waiting', 'task', task, 'hotkey', hotkey,
    'created', now, 'size', #answer, 'fields', cmsgpack.pack({attempt_fields(attempt)}))
  call('ZADD', lane, now, id)
  call('ZADD', wake_check_key, 0, 'check')
end

-- What the reply's last entry says: how it ended, the HTTP status, its bytes (nil when it does not say) and its
-- tokens, all as text, the tokens as numbers too.
local function read_last(index)
  local ending, status, bytes, prompt_tokens, completion_tokens
  for at = lasts[index], lasts[index] + lasts_size[index] - 2, 2 do
    local name = ARGV[at]
    if name == 'end' then ending = ARGV[at + 1]
    elseif name == 'status' then status = ARGV[at + 1]
    elseif name == 'bytes' then bytes = ARGV[at + 1]
    elseif name == 'prompt_tokens' then prompt_tokens = ARGV[at + 1]
    elseif name == 'completion_tokens' then completion_tokens = ARGV[at + 1] end
  end
  local prompt, completion = tonumber(prompt_tokens or '0'), tonumber(completion_tokens or '0')
  if not prompt or prompt ~= floor(prompt) then prompt, prompt_tokens = 0, nil end
  if not completion or completion ~= floor(completion) then completion, completion_tokens = 0, nil end
  return ending, status or '', bytes, prompt_tokens or '0', completion_tokens or '0', prompt, completion
end

-- Adds what a request used to its account's sums.
local function add_usage(account, task, prompt, completion)
  local tasks = used[account or '']
  if not tasks then
    tasks = {}
    used[account or ''] = tasks
  end
  local sum = tasks[task or '']
  if not sum then
    sum = {0, 0, 0}
    tasks[task or ''] = sum
  end
  sum[1], sum[2], sum[3] = sum[1] + 1, sum[2] + prompt, sum[3] + completion
end

-- `job` holds the record's state, token, kind, account and task.
local function end_organic(index, id, hash, job)
  local state = ARGV[ids[index] + 2]
  local ending, status, bytes, prompt_tokens, completion_tokens, prompt, completion = read_last(index)
  -- Token and worker stay: in a job that ended they open nothing, and say who did it.
  call('HSET', hash, 'state', state, 'finished', now_text, 'bytes', bytes or tostring(reply_position(id).bytes),
    'status', status, 'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens)
  call('EXPIRE', hash, tombstone_text)
  local reply, first = reply_key(id), lasts[index]
  if ending then
    call('XADD', reply, '*', unpack(ARGV, first, first + lasts_size[index] - 1))
  else
    call('XADD', reply, '*', 'end', state, unpack(ARGV, first, first + lasts_size[index] - 1))
  end
  call('EXPIRE', reply, tombstone_text)
  organics_ended = organics_ended + 1
  payloads[organics_ended] = payload_key(id)
  add_usage(job[4], job[5], prompt, completion)
end

local function end_cancelled(index, hash, job)
  call('HDEL', hash, 'token')
  local first = ids[index] + 5
  -- The last attempt of a job that was cancelled says nothing about the miner, also when it was complete.
  if attempts[index] > 0 then
    local last_one = first + (attempts[index] - 1) * (VALUES + 1)
    ARGV[last_one + OUTCOME], ARGV[last_one + WORK], ARGV[last_one + UNITS] = 'cancelled', '0', '0'
  end
  for number = 1, attempts[index] do write_attempt(first + (number - 1) * (VALUES + 1)) end
  if job[3] ~= 'organic' then return end
  local _, status, _, prompt_tokens, completion_tokens, prompt, completion = read_last(index)
  call('HSET', hash, 'status', status, 'prompt_tokens', prompt_tokens, 'completion_tokens', completion_tokens)
  add_usage(job[4], job[5], prompt, completion)
end

local function settle_one(index)
  local place = ids[index]
  local id = ARGV[place]
  local hash, period = job_key(id), string.match(id, '^s:(%d+):')
  local job = period and call('HMGET', hash, 'state', 'token')
    or call('HMGET', hash, 'state', 'token', 'kind', 'account', 'task')
  if job[2] ~= ARGV[place + 1] then return 'lost' end
  if job[1] == 'cancelled' then
    end_cancelled(index, hash, job)
    return 'cancelled'
  end
  if job[1] ~= 'running' or seen[id] or not (period or job[3] == 'organic') then return 'lost' end
  seen[id] = true
  local first = place + 5
  for _ = 1, attempts[index] do
    write_attempt(first)
    add_volume(first)
    first = first + VALUES + 1
  end
  if samples_size[index] > 0 then add_sample(samples[index], first - VALUES - 1) end
  if period then
    planned_ended = planned_ended + 1
    records[planned_ended] = hash
    local sums = ARGV[place + 2] == 'done' and done or failed
    sums[period] = (sums[period] or 0) + 1
  else
    end_organic(index, id, hash, job)
  end
  ended = ended + 1
  leases[ended] = id
  return 'ok'
end

local function finish()
  for period, life in pairs(lives) do
    if life > 0 then call('PEXPIRE', volume_key(period), life) end
  end
  if ended > 0 then call('ZREM', lease_key, unpack(leases)) end
  if planned_ended > 0 then call('DEL', unpack(records)) end
  if organics_ended > 0 then call('UNLINK', unpack(payloads)) end
  if attempts_written > 0 then call('HINCRBY', counts_key, 'attempt', attempts_written) end
  for period, number in pairs(done) do count_settled(period, 'done', number) end
  for period, number in pairs(failed) do count_settled(period, 'failed', number) end
  for account, tasks in pairs(used) do
    for task, sum in pairs(tasks) do count_usage(account, task, sum[2], sum[3], sum[1]) end
  end
end

local fault
for index = 1, jobs do
  -- A job whose record is damaged must not keep what others wrote from being finished.
  local is_good, result = pcall(settle_one, index)
  if not is_good then fault = result end
  if not is_good or result ~= 'ok' then
    results[#results + 1] = index
    results[#results + 1] = is_good and result or 'lost'
  end
end
finish()
if fault then error(fault) end
return results
