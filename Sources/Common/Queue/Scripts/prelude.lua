-- Prelude: what a script uses of it is joined in front of it. Before that, generated code names the script's fixed
-- keys and defines `prefix` (all keys of the shard begin with it), `now_ms` (the clock, in ms; Redis's own in
-- production, a key in the test build) and for scripts that take work in `memory_share` (used memory as a share of
-- maxmemory, 0 without a limit; likewise).

local cursor = 0
-- The next argument; the position moves on.
local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end
-- The next argument as an integer. A script calls this before its first write, since Lua does not roll back.
local function take_int()
  local text = take()
  local value = tonumber(text)
  if value == nil or value ~= math.floor(value) then
    error('argument ' .. cursor .. ' is no integer: ' .. tostring(text))
  end
  return value
end
-- The next `count` arguments as a list; `count` is the argument before them.
local function take_list()
  local count, list = take_int(), {}
  for index = 1, count do list[index] = take() end
  return list
end

local function job_key(id) return prefix .. 'job:' .. id end
local function payload_key(id) return prefix .. 'payload:' .. id end
local function reply_key(id) return prefix .. 'reply:' .. id end
local function answer_key(id) return prefix .. 'answer:' .. id end
local function check_key(task) return prefix .. 'check:' .. task end
local function period_key(period) return prefix .. 'period:' .. period end
local function volume_key(period) return prefix .. 'period:' .. period .. ':volume' end
local function route_key(task) return prefix .. 'route:' .. task end
local function quality_key(task) return prefix .. 'quality:' .. task end
local function worker_key(worker) return prefix .. 'worker:' .. worker end
local function worker_wake_key(worker) return prefix .. 'wake:worker:' .. worker end
local function fence_key(worker) return prefix .. 'fence:' .. worker end
local function leader_key(role) return prefix .. 'leader:' .. role end

-- period, task and miner index of a planned query's id; nil for another id.
local function parse_synthetic(id)
  return string.match(id, '^s:(%d+):([^:]+):(%d+):%d+$')
end

-- Times a job may be left behind by a worker that died before it is given up.
local CRASHES_MAX = 3
-- How long a finished organic job is remembered, and its reply kept, in seconds.
local TOMBSTONE_SECONDS = 3600
-- Most entries of the dead list, and most bytes of what they keep; the oldest make room.
local DEAD_MAX = 10000
local DEAD_BYTES_MAX = 67108864

-- Most entries of the ledger; at this length no new work is taken, since nothing unread may be dropped.
local LEDGER_MAX = 2000000

-- The share of Redis's memory beyond which no new work is taken: the rest is for what runs.
local MEMORY_SHARE_MAX = 0.8
-- Takes the time and how many bytes come in.
local function is_memory_short(now, bytes) return memory_share(now, bytes) > MEMORY_SHARE_MAX end

-- Whether `token` holds the single role; a caller without it must not write.
local function leads(role, token)
  return redis.call('GET', leader_key(role)) == token
end

-- The result of a command, or nil when it failed: one damaged key must not stop the work on all others.
local function try(...)
  local result = redis.pcall(...)
  if type(result) == 'table' and result.err then return nil end
  return result
end

-- How far a reply has come, by its last entry, and how it ended (`ending` is nil while it did not). One entry is read:
-- the piece before an end can be a whole answer.
local function reply_position(id)
  local last = (try('XREVRANGE', reply_key(id), '+', '-', 'COUNT', 1) or {})[1]
  local fields = {}
  for index = 1, last and #last[2] or 0, 2 do fields[last[2][index]] = last[2][index + 1] end
  return {exists = last ~= nil, ending = fields['end'], pieces = tonumber(fields.n or 0) or 0,
    bytes = tonumber(fields.bytes or 0) or 0, tokens = tonumber(fields.tokens or 0) or 0}
end

-- A job with content is taken from its worker: without its fence nothing is written that was not looked at.
local function take_fence(worker)
  if worker then try('HDEL', fence_key(worker), 'stands') end
end

-- The first millisecond after a period; 0 when its record is gone.
local function period_end(period)
  return tonumber(redis.call('HGET', period_key(period), 'end') or '0')
end

-- Counts settled queries, one by default. A late event must not bring back a record that expired: nothing would remove it.
local function count_settled(period, field, number)
  local key = period_key(period)
  if redis.call('EXISTS', key) == 1 then redis.call('HINCRBY', key, field, number or 1) end
end

-- Settles a planned query that is not going to be sent. Needs the keys ledger and counts.
local function skip_query(id, period, reason)
  redis.call('XADD', ledger_key, '*', 'v', 1, 'type', 'skip', 'job', id, 'reason', reason)
  redis.call('HINCRBY', counts_key, 'skip', 1)
  count_settled(period, reason == 'expired' and 'expired' or 'skipped')
  redis.call('DEL', job_key(id))
end

-- Takes a job out of the dead list's accounts; its bytes are the caller's again. Needs the keys dead,
-- dead:bytes and checks.
local function unbury(id)
  redis.call('ZREM', dead_key, id)
  redis.call('DECRBY', dead_bytes_key, tonumber(redis.call('HGET', job_key(id), 'kept') or '0'))
  redis.call('HDEL', job_key(id), 'kept')
end

-- The server that `remote` names is no longer left with the check. Needs the key checks:begun.
local function forget_begun(id, remote)
  local server = string.match(remote or '', '^(%S+) ')
  if server and redis.call('HGET', checks_begun_key, server) == id then
    redis.call('HDEL', checks_begun_key, server)
  end
end

-- Drops a dead job. An organic is remembered as long as its reply can be, so that its id starts nothing new.
local function forget_dead(id)
  unbury(id)
  local hash = job_key(id)
  redis.call('UNLINK', payload_key(id), answer_key(id))
  if redis.call('HGET', hash, 'kind') == 'organic' then
    redis.call('EXPIRE', hash, TOMBSTONE_SECONDS)
  else
    redis.call('UNLINK', hash)
  end
end

-- Most fields of the usage record: three for each pair of account and task.
local USAGE_MAX = 300000
-- Counts requests for an account and their tokens. When there are too many accounts, new ones are counted together as '*'.
-- Needs the key usage.
local function count_usage(account, task, prompt_tokens, completion_tokens, requests)
  local name = (account or '') .. '|' .. (task or '') .. '|'
  local sum = redis.call('HINCRBY', usage_key, name .. 'requests', requests)
  if sum == requests and redis.call('HLEN', usage_key) > USAGE_MAX then
    redis.call('HDEL', usage_key, name .. 'requests')
    name = '*|' .. (task or '') .. '|'
    redis.call('HINCRBY', usage_key, name .. 'requests', requests)
  end
  redis.call('HINCRBY', usage_key, name .. 'prompt_tokens', prompt_tokens)
  redis.call('HINCRBY', usage_key, name .. 'completion_tokens', completion_tokens)
end
