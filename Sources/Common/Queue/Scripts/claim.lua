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
local worker, request, nonce = take(), take(), take()
local organic_max, synthetic_max = math.min(take_int(), 100), math.min(take_int(), 100)
local organic_lease, synthetic_lease = take_int(), take_int()
local kept = math.max(0, take_int())
local series = take()
local request_field, granted_field = 'request' .. series, 'granted' .. series
local now = now_ms()
local worker_hash = worker_key(worker)
local reply = {now, -1, 0, 0}

local function add_grant(id, token, attempt)
  local size = #reply
  reply[size + 1], reply[size + 2], reply[size + 3] = id, token, attempt or 0
end

-- Organics come before all synthetics.
local function add_organic(id, token, attempt, task, deadline, stream)
  add_grant(id, token, attempt)
  local size = #reply
  reply[size + 1], reply[size + 2], reply[size + 3] = task or '', deadline or '', stream or ''
  reply[size + 4] = try('GET', payload_key(id)) or ''
  reply[4] = reply[4] + 1
end

local function next_due()
  if redis.call('SISMEMBER', paused_key, 'synthetic') == 1 then return -1 end
  local head = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')
  return tonumber(head[2] or '-1')
end

local known = redis.call('HMGET', worker_hash, request_field, granted_field)
if known[1] and tonumber(known[1]) > tonumber(request) then return reply end
if known[1] == request then
  for id in string.gmatch(known[2] or '', '%S+') do
    local job = try('HMGET', job_key(id), 'state', 'token', 'task', 'attempt', 'deadline', 'stream') or {}
    if job[1] == 'running' and job[2] and string.sub(job[2], 1, #nonce) == nonce then
      local is_synthetic = parse_synthetic(id) ~= nil
      redis.call('ZADD', lease_key, 'GT', now + (is_synthetic and synthetic_lease or organic_lease), id)
      if is_synthetic then
        add_grant(id, job[2], job[4])
      else
        add_organic(id, job[2], job[4], job[3], job[5], job[6])
      end
    end
  end
  reply[2] = next_due()
  return reply
end

local granted, leases = {}, {}
-- `ends` is when the lease ends, as text: Redis writes each number that it gets from Lua as a float.
local function grant(id, ends)
  local token = nonce .. '.' .. (#granted + 1)
  granted[#granted + 1] = id
  leases[#leases + 1] = ends
  leases[#leases + 1] = id
  return token
end

-- The jobs of the lane's first places are leased, and leave it.
local function take_first(lane, ids)
  if #leases > 0 then redis.call('ZADD', lease_key, unpack(leases)) end
  leases = {}
  if #ids > 0 then redis.call('ZREMRANGEBYRANK', lane, 0, #ids - 1) end
end

local function claim_organics()
  if organic_max <= 0 or redis.call('SISMEMBER', paused_key, 'organic') == 1 then return end
  local most = math.max(0, organic_max - kept)
  -- One more than may be taken tells whether others still wait.
  local ids = redis.call('ZRANGE', organic_key, 0, most)
  local others_wait = #ids > most
  ids[most + 1] = nil
  local with_deadline = {}
  local ends = string.format('%.0f', now + organic_lease)
  for _, id in ipairs(ids) do
    local hash = job_key(id)
    local job = try('HMGET', hash, 'state', 'task', 'deadline', 'stream', 'attempt') or {}
    if job[3] or job[1] ~= 'waiting' then with_deadline[#with_deadline + 1] = id end
    if job[1] == 'waiting' then
      local attempt = math.floor(tonumber(job[5] or '0') or 0) + 1
      local token = grant(id, ends)
      redis.call('HSET', hash, 'state', 'running', 'token', token, 'worker', worker,
        'attempt', tostring(attempt))
      add_organic(id, token, attempt, job[2], job[3], job[4])
    end
  end
  take_first(organic_key, ids)
  if #with_deadline > 0 then redis.call('ZREM', organic_deadline_key, unpack(with_deadline)) end
  if others_wait then
    reply[3] = 1
    redis.call('ZADD', wake_organic_key, 0, 'organic')
  end
end

-- Overdue synthetics must not burst: a bucket refills at the paced rate. Returns how many may run now.
local function pace_allows(wanted)
  local pace = redis.call('HMGET', pace_key, 'per_second', 'burst', 'tokens', 'at')
  if not pace[1] then return wanted, nil end
  local rate, burst = tonumber(pace[1]), tonumber(pace[2])
  local tokens = math.min(burst, tonumber(pace[3]) + (now - tonumber(pace[4])) * rate / 1000)
  return math.min(wanted, math.floor(math.max(tokens, 0))), tokens, rate
end

local period_ends, reasons = {}, {}
local function find_reason(period, task, miner)
  if period_ends[period] == nil then
    period_ends[period] = period_end(period)
  end
  if now >= period_ends[period] then return 'expired' end
  local pair = task .. ':' .. miner
  local volume = redis.call('HMGET', volume_key(period), 'gone:' .. miner, 'test:' .. pair, 'used:' .. pair)
  if volume[1] then return 'deregistered' end
  if volume[2] and volume[3] and tonumber(volume[3]) >= tonumber(volume[2]) then return 'volume' end
  return ''
end

-- Why a due query is not to be sent; '' when it is. Nothing that this script does changes the answer.
local function skip_reason(period, task, miner)
  local name = period .. ':' .. task .. ':' .. miner
  if not reasons[name] then reasons[name] = find_reason(period, task, miner) end
  return reasons[name]
end

local function claim_synthetics()
  if redis.call('SISMEMBER', paused_key, 'synthetic') == 1 then return end
  if redis.call('XLEN', ledger_key) >= LEDGER_MAX then return end
  local allowed, tokens, rate = pace_allows(synthetic_max)
  local ids = allowed > 0 and redis.call('ZRANGE', due_key, '-inf', now, 'BYSCORE', 'LIMIT', 0, allowed) or {}
  local spent, ends = 0, string.format('%.0f', now + synthetic_lease)
  for _, id in ipairs(ids) do
    local period, task, miner = parse_synthetic(id)
    if period then
      local reason = skip_reason(period, task, miner)
      if reason ~= '' then
        skip_query(id, period, reason)
      else
        local token, hash = grant(id, ends), job_key(id)
        local attempt = try('HINCRBY', hash, 'attempt', '1')
        if not attempt then
          redis.call('DEL', hash)
          attempt = redis.call('HINCRBY', hash, 'attempt', 1)
        end
        redis.call('HSET', hash, 'v', '1', 'kind', 'synthetic', 'state', 'running', 'task', task, 'token', token,
          'worker', worker)
        add_grant(id, token, attempt)
        spent = spent + 1
      end
    else
      redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'dead', 'job', id, 'kind', 'synthetic', 'reason', 'bad id')
      redis.call('HINCRBY', counts_key, 'dead', 1)
    end
  end
  take_first(due_key, ids)
  if tokens then redis.call('HSET', pace_key, 'tokens', tokens - spent, 'at', now) end
  local head = redis.call('ZRANGE', due_key, 0, 0, 'WITHSCORES')
  if head[2] then
    local at = tonumber(head[2])
    -- Out of tokens: the next one comes when the bucket holds a whole one again.
    if tokens and tokens - spent < 1 then
      at = math.max(at, now + math.ceil((1 - (tokens - spent)) * 1000 / rate))
    end
    reply[2] = at
    redis.call('ZADD', wake_due_key, at, 'due')
  end
end


claim_organics()
local wanted = synthetic_max
synthetic_max = math.min(synthetic_max, organic_max - #granted)
if synthetic_max > 0 then
  claim_synthetics()
else
  reply[2] = next_due()
  -- Organics took the room: whoever came for a query leaves its marker to others.
  if wanted > 0 and reply[2] >= 0 then redis.call('ZADD', wake_due_key, 'LT', reply[2], 'due') end
end
redis.call('HSET', worker_hash, request_field, request, granted_field, table.concat(granted, ' '), 'claimed', now)
-- A worker that dies before its first heartbeat must be missed too.
if not known[1] then redis.call('PEXPIRE', worker_hash, math.max(organic_lease, synthetic_lease), 'NX') end
return reply
