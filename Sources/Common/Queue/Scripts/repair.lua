-- repair: bring some jobs back to the queue's rules, for `vision fsck --repair`.
-- Guarantee: each job is looked at and mended at one moment, by what is there then; one that is in order stays as
--   it is. What there is is kept: a job whose request or answer is left waits again, or stands in the dead list
--   with the reason. What nobody can serve any more has an entry in the ledger and, for a user, an end of its
--   reply. Records of a wrong type are set aside for a week. A job that runs and lost its lease gets one.
-- KEYS lease, organic, organic:deadline, due, dead, dead:bytes, ledger, counts, wake:organic, wake:due,
--   wake:check, checks, checks:begun, admission
-- ARGS 1 lease of a job that lost its own, ms  2 list of tasks that have lanes (0…100)
--      3 count of jobs (1…50), then for each: id, 1 when a piece of its reply is missing, list of entries that
--      break it (0…100)
-- RETURNS for each job what was done, in a few words; '' for nothing
local lease = take_int()
local lanes = take_list()
local now = now_ms()
local ASIDE_SECONDS = 604800
local PLACES = {organic = organic_key, due = due_key, lease = lease_key, dead = dead_key}
local FINISHED = {done = true, failed = true, interrupted = true, expired = true, cancelled = true}
local STATE_OF_END = {done = 'done', error = 'failed', too_large = 'done', cancelled = 'cancelled',
  expired = 'expired', interrupted = 'interrupted', dead = 'dead'}

local function set_aside(key)
  local aside = prefix .. 'lost:' .. string.sub(key, #prefix + 1)
  redis.call('RENAME', key, aside)
  redis.call('EXPIRE', aside, ASIDE_SECONDS)
end

-- Takes the job out of every place but one, and returns where it stood.
local function stand_only_in(id, place)
  local stood = {}
  if place ~= 'dead' and redis.call('ZSCORE', dead_key, id) then
    stood.dead = true
    unbury(id)
  end
  for name, key in pairs(PLACES) do
    if name ~= place and redis.call('ZREM', key, id) == 1 then stood[name] = true end
  end
  if place ~= 'organic' and redis.call('ZREM', organic_deadline_key, id) == 1 then stood.deadline = true end
  for index = 1, math.min(#lanes, 100) do
    if place ~= 'lane' and redis.call('ZREM', check_key(lanes[index]), id) == 1 then
      stood.lane = true
      redis.call('HINCRBY', checks_key, 'waiting:' .. lanes[index], -1)
    end
  end
  return stood
end

-- How the reply ends (nil when it does not), the number of its last piece, and whether it exists.
local function look_at_reply(id)
  local key = reply_key(id)
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= 'stream' then
    set_aside(key)
    return nil, 0, false
  end
  local position = reply_position(id)
  return position.ending, position.pieces, kind == 'stream'
end

-- Nobody holds the job any more.
local function take_from_worker(id)
  take_fence(redis.call('HGET', job_key(id), 'worker'))
  redis.call('HDEL', job_key(id), 'token', 'worker')
end

local function end_reply(id, ending, why)
  redis.call('XADD', reply_key(id), '*', 'end', ending, 'error', why)
  redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
end

local function note_dead(id, kind, why)
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'dead', 'job', id, 'kind', kind, 'reason', why)
  redis.call('HINCRBY', counts_key, 'dead', 1)
end

-- A finished organic is only remembered.
local function remember(id, state)
  stand_only_in(id)
  redis.call('HSET', job_key(id), 'v', 1, 'kind', 'organic', 'state', state, 'finished', now)
  take_from_worker(id)
  redis.call('EXPIRE', job_key(id), TOMBSTONE_SECONDS)
  redis.call('UNLINK', payload_key(id), answer_key(id))
end

-- An organic that cannot be served any more.
local function lose(id, ending, why)
  remember(id, 'dead')
  redis.call('HSET', job_key(id), 'reason', why)
  if not ending then end_reply(id, 'dead', why) end
  note_dead(id, 'organic', why)
  return 'given up: ' .. why
end

local function bury(id, kind, why, ending)
  local hash = job_key(id)
  stand_only_in(id, 'dead')
  local kept = redis.call('STRLEN', payload_key(id)) + redis.call('STRLEN', answer_key(id))
  redis.call('HSET', hash, 'v', 1, 'kind', kind, 'state', 'dead', 'reason', why, 'finished', now, 'kept', kept)
  redis.call('PERSIST', hash)
  redis.call('ZADD', dead_key, now, id)
  redis.call('INCRBY', dead_bytes_key, kept)
  if kind == 'organic' and not ending then end_reply(id, 'dead', why) end
  note_dead(id, kind, why)
  return 'to the dead list: ' .. why
end

local function wait_again(id, kind, job)
  local hash, period = job_key(id), parse_synthetic(id)
  if period and now >= period_end(period) then
    stand_only_in(id)
    skip_query(id, period, 'expired')
    return 'its period is over: expired'
  end
  if redis.call('EXISTS', hash) == 1 then
    redis.call('HSET', hash, 'state', 'waiting', 'kind', kind)
    take_from_worker(id)
    redis.call('PERSIST', hash)
  end
  if kind == 'organic' then
    stand_only_in(id, 'organic')
    local order = job.order or redis.call('INCR', admission_key)
    redis.call('HSET', hash, 'order', order)
    redis.call('ZADD', organic_key, order, id)
    if job.deadline then redis.call('ZADD', organic_deadline_key, job.deadline, id) end
    redis.call('ZADD', wake_organic_key, 0, 'organic')
  elseif kind == 'check' then
    stand_only_in(id)
    redis.call('ZADD', check_key(job.task), now, id)
    redis.call('HINCRBY', checks_key, 'waiting:' .. job.task, 1)
    redis.call('ZADD', wake_check_key, 0, 'check')
  else
    stand_only_in(id, 'due')
    redis.call('ZADD', due_key, 'NX', now, id)
    redis.call('ZADD', wake_due_key, 'LT', now, 'due')
  end
  return 'waits again'
end

local function run_on(id)
  stand_only_in(id, 'lease')
  redis.call('ZADD', lease_key, 'NX', now + lease, id)
  redis.call('PERSIST', job_key(id))
  return 'runs on'
end

local function keep_dead(id)
  stand_only_in(id, 'dead')
  redis.call('ZADD', dead_key, 'NX', now, id)
  redis.call('HSET', job_key(id), 'kept', redis.call('STRLEN', payload_key(id)) + redis.call('STRLEN', answer_key(id)))
  return 'stays in the dead list'
end

local function is_running_still(id)
  return tonumber(redis.call('ZSCORE', lease_key, id) or '0') > now
end

-- A reply with a part that nobody has ends as interrupted.
local function interrupt(id, ending)
  if ending then
    local last = redis.call('XREVRANGE', reply_key(id), '+', '-', 'COUNT', 1)[1]
    redis.call('XDEL', reply_key(id), last[1])
  else
    note_dead(id, 'organic', 'interrupted')
  end
  remember(id, 'interrupted')
  end_reply(id, 'interrupted', 'a part of the reply was lost')
  return 'interrupted: a part of the reply was lost'
end

local function repair_finished(id, job, ending, exists)
  remember(id, job.state)
  if not ending and (exists or job.state ~= 'dead') then
    local kept = job.state == 'cancelled' or job.state == 'expired' or job.state == 'dead'
    end_reply(id, kept and job.state or 'interrupted', 'the end of the reply was lost')
  elseif exists and redis.call('PTTL', reply_key(id)) == -1 then
    redis.call('EXPIRE', reply_key(id), TOMBSTONE_SECONDS)
  end
  return 'is remembered as ' .. job.state
end

local function repair_organic(id, job, has_gap)
  local ending, pieces, exists = look_at_reply(id)
  local has_life = redis.call('PTTL', job_key(id)) > 0
  local has_payload = redis.call('EXISTS', payload_key(id)) == 1
  if job.state == 'dead' and not has_life then
    if not ending then end_reply(id, 'dead', job.reason or 'given up') end
    if has_payload then return keep_dead(id) end
    remember(id, 'dead')
    return 'is remembered as dead: its request was lost'
  end
  if FINISHED[job.state] or job.state == 'dead' then
    if ending == 'done' and has_gap then return interrupt(id, ending) end
    return repair_finished(id, job, ending, exists)
  end
  if ending then
    remember(id, STATE_OF_END[ending] or 'failed')
    return 'had ended: ' .. ending
  end
  if has_gap then return interrupt(id) end
  if job.state == 'running' and is_running_still(id) and not has_payload and job.token then return '' end
  if not has_payload then return lose(id, ending, 'its request was lost') end
  if job.state == 'running' and job.token then return run_on(id) end
  if pieces > 0 then return interrupt(id) end
  return wait_again(id, 'organic', job)
end

local function repair_check(id, job)
  local has_answer = redis.call('EXISTS', answer_key(id)) == 1
  redis.call('UNLINK', payload_key(id), reply_key(id))
  if not has_answer or not job.task or not job.fields then
    if job.state == 'running' and is_running_still(id) then return '' end
    stand_only_in(id)
    forget_begun(id, job.remote)
    redis.call('HINCRBY', checks_key, 'bytes', -tonumber(job.size or '0'))
    redis.call('UNLINK', job_key(id), answer_key(id))
    note_dead(id, 'check', 'its answer was lost')
    return 'given up: its answer was lost'
  end
  if job.state == 'dead' then
    redis.call('PERSIST', job_key(id))
    return keep_dead(id)
  end
  if job.state == 'running' and job.token then return run_on(id) end
  return wait_again(id, 'check', job)
end

local function repair_synthetic(id, job)
  redis.call('UNLINK', payload_key(id), answer_key(id), reply_key(id))
  if job.state == 'dead' then
    redis.call('PERSIST', job_key(id))
    return keep_dead(id)
  end
  if job.state == 'running' and job.token then return run_on(id) end
  return wait_again(id, 'synthetic', job)
end

local function repair_without_record(id)
  if parse_synthetic(id) then
    redis.call('UNLINK', payload_key(id), answer_key(id), reply_key(id))
    local stood = stand_only_in(id, 'due')
    return stood.lease and wait_again(id, 'synthetic', {}) or 'stands where it was planned'
  end
  if string.sub(id, 1, 2) == 'c:' then
    stand_only_in(id)
    redis.call('UNLINK', answer_key(id), payload_key(id), reply_key(id))
    note_dead(id, 'check', 'its record was lost')
    return 'given up: its record was lost'
  end
  local ending, _, exists = look_at_reply(id)
  if ending then
    stand_only_in(id)
    redis.call('UNLINK', payload_key(id), answer_key(id))
    return 'had ended: ' .. ending
  end
  redis.call('UNLINK', answer_key(id))
  if redis.call('EXISTS', payload_key(id)) == 1 then return bury(id, 'organic', 'its record was lost') end
  local stood = stand_only_in(id)
  if stood.due and not (stood.organic or stood.lease or stood.dead or exists) then
    note_dead(id, 'synthetic', 'names no planned query')
    return 'given up: names no planned query'
  end
  if exists or stood.organic or stood.lease or stood.dead then return lose(id, nil, 'its record was lost') end
  return 'was named, and is not there'
end

local NAMES = {'state', 'kind', 'task', 'token', 'order', 'deadline', 'fields', 'size', 'remote', 'reason'}
local function repair_one(id, has_gap, strays)
  if #strays > 0 and redis.call('TYPE', reply_key(id)).ok == 'stream' then
    redis.call('XDEL', reply_key(id), unpack(strays))
  end
  local kind = redis.call('TYPE', job_key(id)).ok
  if kind ~= 'none' and kind ~= 'hash' then
    set_aside(job_key(id))
    kind = 'none'
  end
  if kind == 'none' then return repair_without_record(id) end
  local values, job = redis.call('HMGET', job_key(id), unpack(NAMES)), {}
  for index, name in ipairs(NAMES) do job[name] = values[index] or nil end
  if parse_synthetic(id) then return repair_synthetic(id, job) end
  if string.sub(id, 1, 2) == 'c:' then return repair_check(id, job) end
  return repair_organic(id, job, has_gap)
end

local jobs, results = {}, {}
for index = 1, math.min(take_int(), 50) do jobs[index] = {take(), take_int() == 1, take_list()} end
for index, job in ipairs(jobs) do results[index] = repair_one(job[1], job[2], job[3]) end
return results
