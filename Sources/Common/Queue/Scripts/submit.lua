-- submit: a user's request into the organic queue. Published as the function vision_submit_v1.
-- Guarantee: a known id changes nothing and tells the job's state; an accepted job is stored whole; order
--   of admission is order of service. Refused as full, by itself, when more than 80 % of Redis's memory is used, as
--   it was seen at most 100 ms and a hundredth of the memory before.
-- What stands before the line `call:` is made once in the published library, and asks for neither keys nor arguments.
-- KEYS organic, organic:deadline, wake:organic, paused, admission, tasks, ledger, limits
-- ARGS 1 id  2 task  3 payload, then any of these names, each followed by its value:
--      account      whom the usage is counted for, at most 128 bytes without '|'
--      deadline_ms  time allowed until the answer is complete, ms; 0 for none (at most a day)
--      stream       1 for server-sent events as they come (default), 0 for one JSON at the end
-- RETURNS {'created', reply key} | {'duplicate', state, reply key} | {'refused', reason, field, problem};
--   reason is bad_argument, bad_id, bad_account, unknown_task, too_large, bad_payload, full or paused, field
--   and problem are '' where the reason says it all
-- What is longer is not read here but by the worker: no script may take 5 ms, whatever a payload holds.
local READ_BYTES_MAX = 65536
local DEADLINE_MAX = 86400000
local WAITING_MAX, BYTES_MAX = 10000, 8388608

local function refuse(reason, field, problem) return {'refused', reason, field or '', problem or ''} end

-- The first of these members that is there and no number of its range, and what it must be.
local function range_fault(body, ranges)
  for index = 1, #ranges do
    local range = ranges[index]
    local value, low, high, whole = body[range[1]], range[2], range[3], range[4]
    if value ~= nil and value ~= cjson.null and (type(value) ~= 'number' or not (value >= low and value <= high)
      or whole and value ~= math.floor(value)) then
      return range[1], (whole and 'must be an integer from ' or 'must be a number from ') .. low .. ' to ' .. high
    end
  end
end

local function text_fault(body, name)
  local value = body[name]
  if type(value) ~= 'string' or value == '' then return name, 'must be a text that is not empty' end
end

local function messages_fault(body)
  local list = body.messages
  if type(list) ~= 'table' or #list < 1 or #list > 1000 then
    return 'messages', 'must be a list of 1 to 1000 messages'
  end
  for index, item in ipairs(list) do
    if type(item) ~= 'table' or type(item.role) ~= 'string' or type(item.content) ~= 'string' then
      return 'messages[' .. index - 1 .. ']', "must have the texts 'role' and 'content'"
    end
  end
end

local SEED_RANGE = {{'seed', 0, 2147483647, true}}
local TEXT_RANGES = {{'temperature', 0, 2}, {'top_p', 0, 1}, {'max_tokens', 1, 100000, true}}
local IMAGE_RANGES = {{'cfg_scale', 0, 20}, {'width', 64, 4096, true}, {'height', 64, 4096, true},
  {'image_strength', 0, 1}, {'ipadapter_strength', 0, 1}, {'control_strength', 0, 1}}

local function image_fault(body, about)
  local steps = about.steps or {1, 100}
  local field, problem = text_fault(body, 'prompt')
  if not field then
    field, problem = range_fault(body, {{'steps', steps[1], math.max(steps[1], steps[#steps]), true}})
  end
  if not field then field, problem = range_fault(body, IMAGE_RANGES) end
  if field then return field, problem end
  if about.shape ~= 'text-to-image' then field, problem = text_fault(body, 'init_image') end
  if not field and about.shape == 'inpaint' then field, problem = text_fault(body, 'mask_image') end
  return field, problem
end

local function pictures_fault(body)
  local list = body.image_b64s
  if type(list) ~= 'table' or #list < 1 or #list > 16 then
    return 'image_b64s', 'must be a list of 1 to 16 pictures'
  end
  for _, item in ipairs(list) do
    if type(item) ~= 'string' then return 'image_b64s', 'must hold text only' end
  end
end

-- The field that keeps a payload from being served, and the problem with it; nil when none is seen here.
local function payload_fault(payload, about)
  local shape = about.shape
  if type(shape) ~= 'string' then return nil end
  if not string.find(payload, '^%s*{') then return 'payload', 'is no JSON object' end
  if #payload > READ_BYTES_MAX then return nil end
  local is_json, body = pcall(cjson.decode, payload)
  if not is_json then return 'payload', 'is no JSON object' end
  local field, problem = range_fault(body, SEED_RANGE)
  if field then return field, problem end
  if shape == 'clip-embeddings' then return pictures_fault(body) end
  if shape ~= 'chat' and shape ~= 'completion' then return image_fault(body, about) end
  if shape == 'chat' then field, problem = messages_fault(body) else field, problem = text_fault(body, 'prompt') end
  if field then return field, problem end
  return range_fault(body, TEXT_RANGES)
end

-- The arguments from the fourth on; nil and what is wrong when one makes no sense.
local function read_options(ARGV)
  local options = {account = '', deadline_ms = '0', stream = '1'}
  for at = 4, #ARGV, 2 do
    local name, value = ARGV[at], ARGV[at + 1]
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

-- What the task list says of a task, decoded once for each text. As many texts are kept.
local ABOUTS_MAX = 100
local abouts, abouts_size = {}, 0
local function decoded(text)
  if not abouts[text] then
    if abouts_size >= ABOUTS_MAX then abouts, abouts_size = {}, 0 end
    abouts[text], abouts_size = cjson.decode(text), abouts_size + 1
  end
  return abouts[text]
end

-- call:
local call = redis.call
local id, task, payload = ARGV[1], ARGV[2], ARGV[3]
if not payload then return refuse('bad_argument', '', 'id, task and payload are needed') end
local options, wrong, problem = read_options(ARGV)
if not options then return refuse('bad_argument', string.sub(wrong, 1, 64), problem) end
if #id < 1 or #id > 64 or string.find(id, '[^%w_.-]') then return refuse('bad_id') end
local account, allowed = options.account, tonumber(options.deadline_ms)
if #account > 128 or string.find(account, '|', 1, true) then return refuse('bad_account') end
local hash = job_key(id)
local state = call('HGET', hash, 'state')
if state then return {'duplicate', state, reply_key(id)} end
local about = call('HGET', tasks_key, task)
if not about then return refuse('unknown_task') end
local limits = call('HMGET', limits_key, 'waiting_max', 'payload_bytes_max')
local waiting_max, bytes_max = tonumber(limits[1]) or WAITING_MAX, tonumber(limits[2]) or BYTES_MAX
if #payload > bytes_max then return refuse('too_large', 'payload', 'has more than ' .. bytes_max .. ' bytes') end
local field, fault = payload_fault(payload, decoded(about))
if field then return refuse('bad_payload', field, fault) end
if call('SISMEMBER', paused_key, 'intake') == 1 then return refuse('paused') end
local now = now_ms()
if is_memory_short(now, #payload) then return refuse('full', 'memory', 'is used to more than 80 %') end
if call('ZCARD', organic_key) >= waiting_max or call('XLEN', ledger_key) >= LEDGER_MAX then
  return refuse('full')
end
-- As text: Redis writes each number that it gets from Lua as a float.
local order = string.format('%d', call('INCR', admission_key))
call('HSET', hash, 'v', '1', 'kind', 'organic', 'state', 'waiting', 'task', task, 'order', order,
  'created', string.format('%d', now), 'account', account, 'stream', options.stream)
call('SET', payload_key(id), payload)
if allowed > 0 then
  local deadline = string.format('%d', now + allowed)
  call('HSET', hash, 'deadline', deadline)
  call('ZADD', organic_deadline_key, deadline, id)
end
call('ZADD', organic_key, order, id)
call('ZADD', wake_organic_key, '0', 'organic')
return {'created', reply_key(id)}
