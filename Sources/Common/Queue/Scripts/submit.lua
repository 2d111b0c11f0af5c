-- submit: a user's request into the organic queue. Published as the function vision_submit_v1.
-- Guarantee: a known id changes nothing and tells the job's state; an accepted job is stored whole; order
--   of admission is order of service. Refused as full, by itself, when more than 80 % of Redis's memory is used, as
--   it was seen at most 100 ms and a hundredth of the memory before.
-- KEYS organic, organic:deadline, wake:organic, paused, admission, tasks, ledger, limits
-- ARGS 1 id  2 task  3 payload, then any of these names, each followed by its value:
--      account      whom the usage is counted for, at most 128 bytes without '|'
--      deadline_ms  time allowed until the answer is complete, ms; 0 for none (at most a day)
--      stream       1 for server-sent events as they come (default), 0 for one JSON at the end
-- RETURNS {'created', reply key} | {'duplicate', state, reply key} | {'refused', reason, field, problem};
--   reason is bad_argument, bad_id, bad_account, unknown_task, too_large, bad_payload, full or paused, field
--   and problem are '' where the reason says it all
local id, task, payload = take(), take(), take()
local waiting_max, bytes_max = 10000, 8388608
-- What is longer is not read here but by the worker: no script may take 5 ms, whatever a payload holds.
local READ_BYTES_MAX = 65536
local DEADLINE_MAX = 86400000

local function refuse(reason, field, problem) return {'refused', reason, field or '', problem or ''} end

-- A member that is there and not null.
local function member(object, name)
  local value = object[name]
  if value == cjson.null then return nil end
  return value
end

-- Whether a number may be left out or is in a range.
local function fits(value, low, high, whole)
  if value == nil then return true end
  return type(value) == 'number' and value >= low and value <= high and (not whole or value == math.floor(value))
end

-- The first of these members that is no number of its range, and what it must be.
local function range_fault(body, ranges)
  for _, range in ipairs(ranges) do
    local name, low, high, whole = unpack(range)
    if not fits(member(body, name), low, high, whole) then
      return name, (whole and 'must be an integer from ' or 'must be a number from ') .. low .. ' to ' .. high
    end
  end
end

local function text_fault(body, name)
  local value = member(body, name)
  if type(value) ~= 'string' or value == '' then return name, 'must be a text that is not empty' end
end

local function messages_fault(body)
  local list = member(body, 'messages')
  if type(list) ~= 'table' or #list < 1 or #list > 1000 then
    return 'messages', 'must be a list of 1 to 1000 messages'
  end
  for index, item in ipairs(list) do
    if type(item) ~= 'table' or type(item.role) ~= 'string' or type(item.content) ~= 'string' then
      return 'messages[' .. index - 1 .. ']', "must have the texts 'role' and 'content'"
    end
  end
end

local TEXT_RANGES = {{'temperature', 0, 2}, {'top_p', 0, 1}, {'max_tokens', 1, 100000, true}}

local function image_fault(body, about)
  local steps = about.steps or {1, 100}
  local field, problem = text_fault(body, 'prompt')
  if field then return field, problem end
  field, problem = range_fault(body, {
    {'steps', steps[1], math.max(steps[1], steps[#steps]), true}, {'cfg_scale', 0, 20},
    {'width', 64, 4096, true}, {'height', 64, 4096, true}, {'image_strength', 0, 1},
    {'ipadapter_strength', 0, 1}, {'control_strength', 0, 1}})
  if field then return field, problem end
  if about.shape ~= 'text-to-image' then field, problem = text_fault(body, 'init_image') end
  if not field and about.shape == 'inpaint' then field, problem = text_fault(body, 'mask_image') end
  return field, problem
end

local function pictures_fault(body)
  local list = member(body, 'image_b64s')
  if type(list) ~= 'table' or #list < 1 or #list > 16 then
    return 'image_b64s', 'must be a list of 1 to 16 pictures'
  end
  for _, item in ipairs(list) do
    if type(item) ~= 'string' then return 'image_b64s', 'must hold text only' end
  end
end

-- The field that keeps a payload from being served, and the problem with it; nil when none is seen here.
local function payload_fault(about)
  if type(about.shape) ~= 'string' then return nil end
  if not string.find(payload, '^%s*{') then return 'payload', 'is no JSON object' end
  if #payload > READ_BYTES_MAX then return nil end
  local is_json, body = pcall(cjson.decode, payload)
  if not is_json then return 'payload', 'is no JSON object' end
  local field, problem = range_fault(body, {{'seed', 0, 2147483647, true}})
  if field then return field, problem end
  if about.shape == 'chat' then field, problem = messages_fault(body) end
  if about.shape == 'completion' then field, problem = text_fault(body, 'prompt') end
  if about.shape == 'clip-embeddings' then return pictures_fault(body) end
  if field then return field, problem end
  if about.shape == 'chat' or about.shape == 'completion' then return range_fault(body, TEXT_RANGES) end
  return image_fault(body, about)
end

-- The arguments after the payload; nil and what is wrong when one makes no sense.
local function read_options()
  local options = {account = '', deadline_ms = '0', stream = '1'}
  while cursor < #ARGV do
    local name, value = take(), take()
    if options[name] == nil then return nil, name, 'is no argument of this version' end
    if value == nil then return nil, name, 'has no value' end
    options[name] = value
  end
  if options.stream ~= '0' and options.stream ~= '1' then return nil, 'stream', 'must be 0 or 1' end
  if not string.find(options.deadline_ms, '^%d+$') or tonumber(options.deadline_ms) > DEADLINE_MAX then
    return nil, 'deadline_ms', 'must be an integer from 0 to ' .. DEADLINE_MAX
  end
  return options
end

if not payload then return refuse('bad_argument', '', 'id, task and payload are needed') end
local options, wrong, problem = read_options()
if not options then return refuse('bad_argument', string.sub(wrong, 1, 64), problem) end
if #id < 1 or #id > 64 or string.find(id, '[^%w_.-]') then return refuse('bad_id') end
local account, allowed = options.account, tonumber(options.deadline_ms)
if #account > 128 or string.find(account, '|', 1, true) then return refuse('bad_account') end
local hash = job_key(id)
local state = redis.call('HGET', hash, 'state')
if state then return {'duplicate', state, reply_key(id)} end
local about = redis.call('HGET', tasks_key, task)
if not about then return refuse('unknown_task') end
local limits = redis.call('HMGET', limits_key, 'waiting_max', 'payload_bytes_max')
waiting_max, bytes_max = tonumber(limits[1]) or waiting_max, tonumber(limits[2]) or bytes_max
if #payload > bytes_max then return refuse('too_large', 'payload', 'has more than ' .. bytes_max .. ' bytes') end
local field, fault = payload_fault(cjson.decode(about))
if field then return refuse('bad_payload', field, fault) end
if redis.call('SISMEMBER', paused_key, 'intake') == 1 then return refuse('paused') end
local now = now_ms()
if is_memory_short(now, #payload) then return refuse('full', 'memory', 'is used to more than 80 %') end
if redis.call('ZCARD', organic_key) >= waiting_max or redis.call('XLEN', ledger_key) >= LEDGER_MAX then
  return refuse('full')
end
-- As text: Redis writes each number that it gets from Lua as a float.
local order = string.format('%.0f', redis.call('INCR', admission_key))
redis.call('HSET', hash, 'v', '1', 'kind', 'organic', 'state', 'waiting', 'task', task, 'order', order,
  'created', string.format('%.0f', now), 'account', account, 'stream', options.stream)
redis.call('SET', payload_key(id), payload)
if allowed > 0 then
  redis.call('HSET', hash, 'deadline', now + allowed)
  redis.call('ZADD', organic_deadline_key, now + allowed, id)
end
redis.call('ZADD', organic_key, order, id)
redis.call('ZADD', wake_organic_key, '0', 'organic')
return {'created', reply_key(id)}
