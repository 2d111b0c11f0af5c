-- claim: lease waiting jobs to one worker.
-- Guarantee: a granted job has exactly one live token until its lease ends; organics first, in their
--   order; a synthetic is granted never before it is due, nor after its period, nor beyond its miner's
--   test volume (such ones are settled as skipped). A repeat with the same request number grants nothing
--   new and returns what the first call granted, leased from now: the worker has only just heard of it. One
--   that comes after a later one of its series grants nothing: nobody waits for its answer.
-- KEYS organic, organic:deadline, due, lease, wake:organic, wake:due, paused, ledger, counts, pace
-- ARGS 1 worker id  2 request number  3 nonce of this claim  4 most jobs in all, thus most organics (0…100)
--      5 most synthetics among them (0…100)  6 organic lease, ms  7 synthetic lease, ms
--      8 jobs of 4 that organics leave to synthetics (0…100)  9 series of 2, '' by default: each of a worker's
--      connections that claim counts its own requests
-- RETURNS {now ms, when the next synthetic is due (ms; -1 for none, and while they are paused), whether
--   organics still wait (1 | 0), how many of the jobs are organics, for each of these: id, token, attempt, task,
--   deadline ms or '', stream flag or '', payload or '', … then for each synthetic, whose id tells the rest: id,
--   token, attempt, …}
local call = redis.call
local worker, request, nonce = take(), take(), take()
local organic_max, synthetic_max = math.min(take_int(), 100), math.min(take_int(), 100)
local organic_lease, synthetic_lease = take_int(), take_int()
local kept = math.max(0, take_int())
local series = take()
local request_field, granted_field = 'request' .. series, 'granted' .. series
local now = now_ms()
local worker_hash = worker_key(worker)
local reply, size, organics = {now, -1, 0, 0}, 4, 0

local function add_grant(id, token, attempt)
  reply[size + 1], reply[size + 2], reply[size + 3] = id, token, attempt
  size = size + 3
end

-- Organics come before all synthetics.
local function add_organic(id, token, attempt, task, deadline, stream)
  add_grant(id, token, attempt)
  reply[size + 1], reply[size + 2], reply[size + 3] = task or '', deadline or '', stream or ''
  reply[size + 4] = try('GET', payload_key(id)) or ''
  size, organics = size + 4, organics + 1
end

local function next_due()
  if call('SISMEMBER', paused_key, 'synthetic') == 1 then return -1 end
  local head = call('ZRANGE', due_key, '0', '0', 'WITHSCORES')
  return tonumber(head[2] or '-1')
end

local known = call('HMGET', worker_hash, request_field, granted_field)
if known[1] and tonumber(known[1]) > tonumber(request) then return reply end
if known[1] == request then
  for id in string.gmatch(known[2] or '', '%S+') do
    local job = try('HMGET', job_key(id), 'state', 'token', 'task', 'attempt', 'deadline', 'stream') or {}
    if job[1] == 'running' and job[2] and string.sub(job[2], 1, #nonce) == nonce then
      local is_synthetic = parse_synthetic(id) ~= nil
      call('ZADD', lease_key, 'GT', now + (is_synthetic and synthetic_lease or organic_lease), id)
      if is_synthetic then
        add_grant(id, job[2], job[4] or 1)
      else
        add_organic(id, job[2], job[4] or 1, job[3], job[5], job[6])
      end
    end
  end
  reply[2], reply[4] = next_due(), organics
  return reply
end

local granted, count, leases, leases_size = {}, 0, {}, 0
-- `ends` is when the lease ends, as text: Redis writes each number that it gets from Lua as a float.
local function grant(id, ends)
  count, leases_size = count + 1, leases_size + 2
  granted[count], leases[leases_size - 1], leases[leases_size] = id, ends, id
  return nonce .. '.' .. string.format('%d', count)
end

-- The jobs of the lane's first places are leased, and leave it.
local function take_first(lane, ids)
  if leases_size > 0 then call('ZADD', lease_key, unpack(leases)) end
  leases, leases_size = {}, 0
  if #ids > 0 then call('ZREMRANGEBYRANK', lane, '0', #ids - 1) end
end

local function claim_organics()
  if organic_max <= 0 or call('SISMEMBER', paused_key, 'organic') == 1 then return end
  local most = math.max(0, organic_max - kept)
  -- One more than may be taken tells whether others still wait.
  local ids = call('ZRANGE', organic_key, '0', most)
  local others_wait = #ids > most
  ids[most + 1] = nil
  local with_deadline = {}
  local ends = string.format('%.0f', now + organic_lease)
  for _, id in ipairs(ids) do
    local hash = job_key(id)
    local job = try('HMGET', hash, 'state', 'task', 'deadline', 'stream', 'attempt') or {}
    if job[3] or job[1] ~= 'waiting' then with_deadline[#with_deadline + 1] = id end
    if job[1] == 'waiting' then
      local attempt = job[5] and string.format('%d', (tonumber(job[5]) or 0) + 1) or '1'
      local token = grant(id, ends)
      call('HSET', hash, 'state', 'running', 'token', token, 'worker', worker, 'attempt', attempt)
      add_organic(id, token, attempt, job[2], job[3], job[4])
    end
  end
  take_first(organic_key, ids)
  if #with_deadline > 0 then call('ZREM', organic_deadline_key, unpack(with_deadline)) end
  if others_wait then
    reply[3] = 1
    call('ZADD', wake_organic_key, '0', 'organic')
  end
end

-- What only a claim for synthetics needs is not made for others.
local function claim_synthetics()
  if call('SISMEMBER', paused_key, 'synthetic') == 1 or call('XLEN', ledger_key) >= LEDGER_MAX then return end

  -- Overdue synthetics must not burst: a bucket refills at the paced rate.
  local pace = call('HMGET', pace_key, 'per_second', 'burst', 'tokens', 'at')
  local rate, tokens, allowed = tonumber(pace[1]), nil, synthetic_max
  if rate then
    tokens = math.min(tonumber(pace[2]), tonumber(pace[3]) + (now - tonumber(pace[4])) * rate / 1000)
    allowed = math.min(allowed, math.floor(math.max(tokens, 0)))
  end

  local period_ends, reasons = {}, {}
  -- Why a due query is not to be sent; '' when it is. Nothing that this script does changes the answer.
  local function find_reason(period, task, miner)
    if period_ends[period] == nil then period_ends[period] = period_end(period) end
    if now >= period_ends[period] then return 'expired' end
    local pair = task .. ':' .. miner
    local volume = call('HMGET', volume_key(period), 'gone:' .. miner, 'test:' .. pair, 'used:' .. pair)
    if volume[1] then return 'deregistered' end
    if volume[2] and volume[3] and tonumber(volume[3]) >= tonumber(volume[2]) then return 'volume' end
    return ''
  end

  -- Writes a query's record and tells which attempt this is. A record without the number is of the first one.
  local function begin(hash, task, token)
    local added = try('HSET', hash, 'v', '1', 'kind', 'synthetic', 'state', 'running', 'task', task, 'token', token,
      'worker', worker)
    if added == 6 then return '1' end
    if added then
      local attempt = string.format('%d', (tonumber(call('HGET', hash, 'attempt') or '1') or 1) + 1)
      call('HSET', hash, 'attempt', attempt)
      return attempt
    end
    -- Damaged: it begins anew.
    call('DEL', hash)
    call('HSET', hash, 'v', '1', 'kind', 'synthetic', 'state', 'running', 'task', task, 'token', token, 'worker', worker)
    return '1'
  end

  local ids = allowed > 0 and call('ZRANGE', due_key, '-inf', now, 'BYSCORE', 'LIMIT', '0', allowed) or {}
  local spent, ends = 0, string.format('%.0f', now + synthetic_lease)
  for _, id in ipairs(ids) do
    local pair, period, task, miner = string.match(id, '^(s:(%d+):([^:]+):(%d+)):%d+$')
    if period then
      local reason = reasons[pair] or find_reason(period, task, miner)
      reasons[pair] = reason
      if reason ~= '' then
        skip_query(id, period, reason)
      else
        local token = grant(id, ends)
        add_grant(id, token, begin(job_key(id), task, token))
        spent = spent + 1
      end
    else
      call('XADD', ledger_key, '*', 'v', 1, 'type', 'dead', 'job', id, 'kind', 'synthetic', 'reason', 'bad id')
      call('HINCRBY', counts_key, 'dead', 1)
    end
  end
  take_first(due_key, ids)
  if tokens then call('HSET', pace_key, 'tokens', tokens - spent, 'at', now) end
  local head = call('ZRANGE', due_key, '0', '0', 'WITHSCORES')
  if head[2] then
    local at = tonumber(head[2])
    -- Out of tokens: the next one comes when the bucket holds a whole one again.
    if tokens and tokens - spent < 1 then
      at = math.max(at, now + math.ceil((1 - (tokens - spent)) * 1000 / rate))
    end
    reply[2] = at
    call('ZADD', wake_due_key, at, 'due')
  end
end

claim_organics()
local wanted = synthetic_max
synthetic_max = math.min(synthetic_max, organic_max - count)
if synthetic_max > 0 then
  claim_synthetics()
else
  reply[2] = next_due()
  -- Organics took the room: whoever came for a query leaves its marker to others.
  if wanted > 0 and reply[2] >= 0 then call('ZADD', wake_due_key, 'LT', reply[2], 'due') end
end
reply[4] = organics
call('HSET', worker_hash, request_field, request, granted_field, table.concat(granted, ' '), 'claimed', now)
-- A worker that dies before its first heartbeat must be missed too.
if not known[1] then call('PEXPIRE', worker_hash, math.max(organic_lease, synthetic_lease), 'NX') end
return reply
