-- append: pieces of answers to the reply streams of organic jobs.
-- Guarantee: only the holder of a job's token can write; a repeat writes nothing twice and nothing is left
--   out, since each piece has its number (after a gap the job counts as lost); a reply past its cap takes
--   no more, and says so each time.
-- KEYS lease (names the shard)
-- ARGS 1 most bytes of one reply  2 count of jobs (1…100), then for each: id, token, number of the first
--      piece (from 1), tokens of the answer so far, list of pieces
-- RETURNS for each job 'ok', 'lost', 'cancelled' or 'too_large'
local bytes_max = take_int()
local results = {}

local function append_one(id, token, first, tokens, pieces)
  local hash = job_key(id)
  local job = redis.call('HMGET', hash, 'state', 'token', 'seq', 'bytes', 'full', 'kind')
  if job[2] ~= token or job[6] ~= 'organic' then return 'lost' end
  if job[1] ~= 'running' then return job[1] == 'cancelled' and 'cancelled' or 'lost' end
  if job[5] == token then return 'too_large' end
  local written, bytes = tonumber(job[3] or '0'), tonumber(job[4] or '0')
  if first > written + 1 then return 'lost' end
  local stream, result = reply_key(id), 'ok'
  for index, piece in ipairs(pieces) do
    local number = first + index - 1
    if number > written then
      if bytes + #piece > bytes_max then
        result = 'too_large'
        redis.call('HSET', hash, 'full', token)
        break
      end
      redis.call('XADD', stream, '*', 'n', number, 'data', piece)
      written, bytes = number, bytes + #piece
    end
  end
  if written > 0 then redis.call('HSET', hash, 'seq', written, 'bytes', bytes, 'tokens', tokens, 'content', 1) end
  return result
end

local jobs = {}
for index = 1, math.min(take_int(), 100) do
  jobs[index] = {take(), take(), take_int(), take_int(), take_list()}
end
for index, job in ipairs(jobs) do results[index] = append_one(job[1], job[2], job[3], job[4], job[5]) end
return results
