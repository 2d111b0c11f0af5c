-- Prelude: joined in front of every script. Before it, generated code names the script's fixed keys and
-- defines `prefix` (all keys of the shard begin with it) and `now_ms` (the clock, in ms; Redis's own in
-- production, a key in the test build).

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
local function worker_key(worker) return prefix .. 'worker:' .. worker end
local function worker_wake_key(worker) return prefix .. 'wake:worker:' .. worker end
local function leader_key(role) return prefix .. 'leader:' .. role end

-- period, task and miner index of a planned query's id; nil for another id.
local function parse_synthetic(id)
  return string.match(id, '^s:(%d+):([^:]+):(%d+):%d+$')
end

-- Times a job may be left behind by a worker that died before it is given up.
local CRASHES_MAX = 3
-- How long a finished organic job is remembered, and its reply kept, in seconds.
local TOMBSTONE_SECONDS = 3600
-- Most entries of the dead list; the oldest make room.
local DEAD_MAX = 10000

-- Most entries of the ledger; at this length no new work is taken, since nothing unread may be dropped.
local LEDGER_MAX = 2000000

-- Whether `token` holds the single role; a caller without it must not write.
local function leads(role, token)
  return redis.call('GET', leader_key(role)) == token
end
