-- status: where a user's request stands. Published as the function vision_status_v1.
-- Guarantee: changes nothing; all is of one moment.
-- KEYS organic
-- ARGS 1 id
-- RETURNS {'unknown'} | {state, name, value, …} with the names task, created, finished, deadline (Unix ms, ''
--   when not set), ahead (requests that are served before this one; '' unless it waits), attempts, bytes
--   (of the reply so far), status, prompt_tokens, completion_tokens ('' until it ended) and reply (its key)
local id = take()
local names = {'task', 'created', 'finished', 'deadline', 'attempt', 'bytes', 'status', 'prompt_tokens',
  'completion_tokens'}
local hash = job_key(id)
local job = redis.call('HMGET', hash, 'state', 'kind', unpack(names))
if not job[1] or job[2] ~= 'organic' then return {'unknown'} end
if job[1] == 'running' then job[8] = tostring(reply_position(id).bytes) end
local result = {job[1]}
for index, name in ipairs(names) do
  result[#result + 1] = name == 'attempt' and 'attempts' or name
  result[#result + 1] = job[index + 2] or (name == 'bytes' or name == 'attempt') and '0' or ''
end
local ahead = job[1] == 'waiting' and redis.call('ZRANK', organic_key, id)
result[#result + 1], result[#result + 2] = 'ahead', ahead and tostring(ahead) or ''
result[#result + 1], result[#result + 2] = 'reply', reply_key(id)
return result
