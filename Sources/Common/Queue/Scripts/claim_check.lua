-- claim_check: lease one answer to the worker that serves a checking server.
-- Guarantee: as claim; among the oldest 100 answers of a task the one whose miner has fewest verdicts is
--   taken; the task is the one named first that has any. Before all of them comes the answer that the server
--   was left with, if it may be taken: the server may still be at it, and is busy for every other. A repeat
--   with the same nonce grants nothing new and returns what the first call granted, leased from now. Without
--   a grant the marker says when the next answer may be taken.
-- KEYS lease, paused, verdicts, checks, checks:begun, wake:check
-- ARGS 1 worker id  2 nonce, the token of the check  3 lease, ms  4 the checking server, '' for none
--      5 list of tasks in order of preference (0…100)
-- RETURNS {} | {id, nonce, task, attempt, remote task id or '', fields of the attempt, answer, how often
--   servers have tried}
local worker, nonce, lease = take(), take(), take_int()
local server = take()
local tasks = take_list()
local now = now_ms()
local worker_hash = worker_key(worker)

local known = redis.call('HMGET', worker_hash, 'check_nonce', 'check')
if known[1] == nonce then
  local job = redis.call('HMGET', job_key(known[2] or ''), 'state', 'token', 'task', 'attempt', 'remote', 'fields',
    'tries')
  if job[1] ~= 'running' or job[2] ~= nonce then return {} end
  redis.call('ZADD', lease_key, 'GT', now + lease, known[2])
  local answer = redis.call('GET', answer_key(known[2])) or ''
  return {known[2], nonce, job[3], tonumber(job[4]), job[5] or '', cmsgpack.unpack(job[6]), answer, tonumber(job[7] or '0')}
end
if redis.call('SISMEMBER', paused_key, 'check') == 1 then return {} end

local function fewest(task)
  local ids = redis.call('ZRANGE', check_key(task), '-inf', now, 'BYSCORE', 'LIMIT', 0, 100)
  local best, least
  for _, id in ipairs(ids) do
    local hotkey = try('HGET', job_key(id), 'hotkey')
    local count = tonumber(redis.call('HGET', verdicts_key, task .. '|' .. (hotkey or '')) or '0')
    if not least or count < least then best, least = id, count end
  end
  return best
end

-- The answer that the server was left with, if it waits among the task's and may be taken now.
local begun = server ~= '' and redis.call('HGET', checks_begun_key, server)
local function left_with(task)
  local at = begun and tonumber(redis.call('ZSCORE', check_key(task), begun) or 'inf')
  return at and at <= now and begun or nil
end

-- An answer of the task with all that belongs to it; one that lost something is dropped.
local function take_one(task, pick)
  for _ = 1, 10 do
    local id = pick(task)
    if not id then return nil end
    redis.call('ZREM', check_key(task), id)
    redis.call('HINCRBY', checks_key, 'waiting:' .. task, -1)
    local job = try('HMGET', job_key(id), 'remote', 'fields', 'size', 'tries') or {}
    local answer = try('GET', answer_key(id))
    if job[2] and answer then return id, job, answer end
    redis.call('HINCRBY', checks_key, 'bytes', -tonumber(job[3] or '0'))
    redis.call('UNLINK', job_key(id), answer_key(id))
  end
end

local function take_first(pick)
  for index = 1, math.min(#tasks, 100) do
    local id, job, answer = take_one(tasks[index], pick)
    if id then return tasks[index], id, job, answer end
  end
end

local task, id, job, answer
if begun then task, id, job, answer = take_first(left_with) end
if not id then task, id, job, answer = take_first(fewest) end
if id then
  local hash = job_key(id)
  local attempt = redis.call('HINCRBY', hash, 'attempt', 1)
  redis.call('HSET', hash, 'state', 'running', 'token', nonce, 'worker', worker)
  redis.call('ZADD', lease_key, now + lease, id)
  redis.call('ZADD', wake_check_key, 0, 'check')
  redis.call('HSET', worker_hash, 'check_nonce', nonce, 'check', id)
  -- A worker that dies before its first heartbeat must be missed too.
  redis.call('PEXPIRE', worker_hash, lease, 'NX')
  return {id, nonce, task, attempt, job[1] or '', cmsgpack.unpack(job[2]), answer, tonumber(job[4] or '0')}
end
local wake = nil
for index = 1, math.min(#tasks, 100) do
  local head = redis.call('ZRANGE', check_key(tasks[index]), 0, 0, 'WITHSCORES')
  if head[2] then wake = math.min(wake or tonumber(head[2]), tonumber(head[2])) end
end
if wake then redis.call('ZADD', wake_check_key, wake, 'check') end
return {}
