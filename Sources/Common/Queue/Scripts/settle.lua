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
local call, now, results = redis.call, now_ms(), {}
-- What many jobs pass on is text: Redis writes each number that it gets from Lua as a float.
local now_text, tombstone_text = string.format('%.0f', now), tostring(TOMBSTONE_SECONDS)
-- What the jobs of a call have in common is written once, at its end: leases that end, records and requests
-- that go, and sums by period and by account.
local leases, records, payloads, attempts_written, settled, used = {}, {}, {}, 0, {}, {}

-- Where a list stands in the arguments; the position moves behind it.
local function take_range()
  local count = take_int()
  local range = {cursor + 1, cursor + count}
  cursor = cursor + count
  return range
end

-- Where an attempt's values begin, and what each of them is.
local VALUES = 13
local PERIOD, TASK, MINER, OUTCOME, WORK, UNITS = 2, 3, 4, 6, 8, 9
local function take_attempt()
  local range = take_range()
  if range[2] - range[1] + 1 ~= VALUES then error('an attempt has other values than the ledger') end
  return range[1]
end

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
  local work = tonumber(ARGV[first + WORK])
  if not work or work <= 0 then return end
  local period = ARGV[first + PERIOD]
  -- Work of a period that is gone counts for nothing, and its record would stay for ever.
  if not lives[period] then lives[period] = call('PTTL', period_key(period)) end
  if lives[period] == -2 then return end
  local volume = volume_key(period)
  call('HINCRBY', volume, 'used:' .. ARGV[first + TASK] .. ':' .. ARGV[first + MINER], work)
  if lives[period] > 0 then call('PEXPIRE', volume, lives[period]) end
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

local function count(text) return math.floor(tonumber(text or '0') or 0) end

-- The fields of a reply's last entry as a table.
local function named(range)
  local result = {}
  for index = range[1], range[2], 2 do result[ARGV[index]] = ARGV[index + 1] end
  return result
end

-- Adds what a request used to its account's sums.
local function add_usage(account, task, prompt_tokens, completion_tokens)
  local name = (account or '') .. '|' .. (task or '')
  local sum = used[name] or {account, task, 0, 0, 0}
  used[name] = sum
  sum[3], sum[4], sum[5] = sum[3] + 1, sum[4] + prompt_tokens, sum[5] + completion_tokens
end

-- `job` holds the record's state, token, kind, account and task.
local function end_organic(id, hash, state, last, job)
  local entry = named(last)
  local prompt_tokens, completion_tokens = count(entry.prompt_tokens), count(entry.completion_tokens)
  local bytes = entry.bytes or tostring(reply_position(id).bytes)
  call('HSET', hash, 'state', state, 'finished', now_text, 'bytes', bytes, 'status', entry.status or '', 'prompt_tokens', tostring(prompt_tokens),
    'completion_tokens', tostring(completion_tokens))
  call('HDEL', hash, 'token', 'worker')
  call('EXPIRE', hash, tombstone_text)
  local reply = reply_key(id)
  if entry['end'] then
    call('XADD', reply, '*', unpack(ARGV, last[1], last[2]))
  else
    call('XADD', reply, '*', 'end', state, unpack(ARGV, last[1], last[2]))
  end
  call('EXPIRE', reply, tombstone_text)
  payloads[#payloads + 1] = payload_key(id)
  add_usage(job[4], job[5], prompt_tokens, completion_tokens)
end

local function end_cancelled(hash, attempts, last, job)
  call('HDEL', hash, 'token')
  -- The last attempt of a job that was cancelled says nothing about the miner, also when it was complete.
  local last_one = attempts[#attempts]
  if last_one then
    ARGV[last_one + OUTCOME], ARGV[last_one + WORK], ARGV[last_one + UNITS] = 'cancelled', '0', '0'
  end
  for _, first in ipairs(attempts) do write_attempt(first) end
  if job[3] ~= 'organic' then return end
  local entry = named(last)
  local prompt_tokens, completion_tokens = count(entry.prompt_tokens), count(entry.completion_tokens)
  call('HSET', hash, 'status', entry.status or '', 'prompt_tokens', prompt_tokens,
    'completion_tokens', completion_tokens)
  add_usage(job[4], job[5], prompt_tokens, completion_tokens)
end

local function settle_one(id, token, state, attempts, sample, last)
  local hash = job_key(id)
  local job = call('HMGET', hash, 'state', 'token', 'kind', 'account', 'task')
  if job[2] ~= token then return 'lost' end
  if job[1] == 'cancelled' then
    end_cancelled(hash, attempts, last, job)
    return 'cancelled'
  end
  local period = parse_synthetic(id)
  if job[1] ~= 'running' or (job[3] ~= 'organic' and not period) then return 'lost' end
  for _, first in ipairs(attempts) do
    write_attempt(first)
    add_volume(first)
  end
  if sample[2] >= sample[1] then add_sample(sample[1], attempts[#attempts]) end
  if job[3] == 'organic' then
    end_organic(id, hash, state, last, job)
  else
    records[#records + 1] = hash
    local name = period .. (state == 'done' and ' done' or ' failed')
    settled[name] = (settled[name] or 0) + 1
  end
  leases[#leases + 1] = id
  return 'ok'
end

local function finish()
  if #leases > 0 then call('ZREM', lease_key, unpack(leases)) end
  if #records > 0 then call('DEL', unpack(records)) end
  if #payloads > 0 then call('UNLINK', unpack(payloads)) end
  if attempts_written > 0 then call('HINCRBY', counts_key, 'attempt', attempts_written) end
  for name, number in pairs(settled) do
    local period, field = string.match(name, '^(%S+) (%S+)$')
    count_settled(period, field, number)
  end
  for _, sum in pairs(used) do count_usage(sum[1], sum[2], sum[4], sum[5], sum[3]) end
end

local jobs = {}
for index = 1, math.min(take_int(), 50) do
  local job = {take(), take(), take(), {}}
  for number = 1, math.min(take_int(), 100) do job[4][number] = take_attempt() end
  job[5], job[6] = take_range(), take_range()
  jobs[index] = job
end
local fault
for index, job in ipairs(jobs) do
  -- A job whose record is damaged must not keep what others wrote from being finished.
  local is_good, result = pcall(settle_one, job[1], job[2], job[3], job[4], job[5], job[6])
  if not is_good then fault = result end
  if not is_good or result ~= 'ok' then
    results[#results + 1] = index
    results[#results + 1] = is_good and result or 'lost'
  end
end
finish()
if fault then error(fault) end
return results
