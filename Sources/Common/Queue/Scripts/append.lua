-- append: pieces of answers to the reply streams of organic jobs.
-- Guarantee: only the holder of a job's token can write; a repeat writes nothing twice and nothing is left
--   out. A piece is looked at: its job's token, and that its reply stands just before it; after a gap the job
--   counts as lost. Later pieces of the reply are not, as long as the worker's fence stands as the worker knows
--   it. The fence counts the worker's calls, so a repeat, a call out of order and one that Redis lost are all
--   seen, and whoever takes a job with content from the worker takes the fence away.
-- KEYS lease (names the shard)
-- ARGS 1 worker id  2 its fence before the call (generation.calls); '' has all pieces looked at and opens a new
--      generation  3 its fence after the call
--      then for each of 1…1000 pieces: job id, token ('' when a piece of the reply was written since the fence
--      was opened), number of the piece (from 1), bytes and tokens of the reply with the piece, bytes
-- RETURNS 'closed' when the fence does not stand like that: nothing was written | {position of the piece (from
--   1), 'lost' | 'cancelled', …} of those that were not taken
local call, refused = redis.call, {}
local worker, before, after = ARGV[1], ARGV[2], ARGV[3]
local fence, reply_prefix = fence_key(worker), reply_key('')
local FENCE_SECONDS = 3600

-- A generation is opened once: a late repeat must not bring it back.
local function open()
  local generation = string.match(after, '^%d+')
  if tonumber(call('HGET', fence, 'opened') or '0') >= tonumber(generation) then return call('HDEL', fence, 'stands') end
  call('HSET', fence, 'stands', after, 'opened', generation)
  call('EXPIRE', fence, FENCE_SECONDS)
end

-- Why a piece is not to be written; nil when it is. 'there' when it was written already.
local function look(id, token, number)
  local job = try('HMGET', job_key(id), 'token', 'state', 'kind') or {}
  if token == '' or job[1] ~= token or job[3] ~= 'organic' then return 'lost' end
  if job[2] ~= 'running' then return job[2] == 'cancelled' and 'cancelled' or 'lost' end
  -- The reply of a job that runs has no end, so its length is the number of its last piece.
  local written = try('XLEN', reply_prefix .. id)
  if not written or written < number - 1 then return 'lost' end
  if written >= number then return 'there' end
end

-- The fence moves first: whatever fails behind it, the same call finds another one when it comes again.
if before == '' then
  open()
elseif call('HGET', fence, 'stands') == before then
  call('HSET', fence, 'stands', after)
else
  return 'closed'
end
for at = 4, math.min(#ARGV, 6000), 6 do
  local id, token, number = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local reply, reason = reply_prefix .. id, nil
  if token == '' and before ~= '' then
    if not try('XADD', reply, 'NOMKSTREAM', '*', 'n', number, 'bytes', ARGV[at + 3], 'tokens', ARGV[at + 4],
      'data', ARGV[at + 5]) then reason = 'lost' end
  else
    reason = look(id, token, tonumber(number))
    if not reason and not try('XADD', reply, '*', 'n', number, 'bytes', ARGV[at + 3], 'tokens', ARGV[at + 4], 'data',
      ARGV[at + 5]) then reason = 'lost' end
  end
  if reason and reason ~= 'there' then
    refused[#refused + 1] = (at + 2) / 6
    refused[#refused + 1] = reason
  end
end
return refused
