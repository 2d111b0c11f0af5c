-- append: pieces of answers to the reply streams of organic jobs.
-- Guarantee: only the holder of a job's token can write; a repeat writes nothing twice and nothing is left
--   out: a piece is written only where the reply stands just as its writer knows it. Else the fence tells
--   whether the piece is there already; after a gap the job counts as lost.
-- KEYS lease (names the shard)
-- ARGS for each of 1…1000 pieces: job id, its fence before the piece and after it (token, pieces, bytes and
--      tokens of the reply, with colons between), number of the piece (from 1), bytes
-- RETURNS {position of the piece (from 1), 'lost' | 'cancelled', …} of those that were not taken
local call, refused = redis.call, {}
local job_prefix, reply_prefix = job_key(''), reply_key('')

-- A job has a fence while it runs, and no other script lets go of a job without taking it away.
local function explain(id, before, number)
  local job = call('HMGET', job_key(id), 'token', 'state', 'fence')
  local token = string.match(before, '^([^:]*):')
  if job[1] ~= token then return 'lost' end
  if job[2] == 'cancelled' then return 'cancelled' end
  local owner, written = string.match(job[3] or '', '^([^:]*):(%d+):')
  if owner == token and tonumber(written) >= tonumber(number) then return nil end
  return 'lost'
end

for at = 1, math.min(#ARGV, 5000), 5 do
  local id, before, after, number = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local hash = job_prefix .. id
  if call('HGET', hash, 'fence') == before then
    call('XADD', reply_prefix .. id, '*', 'n', number, 'data', ARGV[at + 4])
    call('HSET', hash, 'fence', after)
  else
    local reason = explain(id, before, number)
    if reason then
      refused[#refused + 1] = (at + 4) / 5
      refused[#refused + 1] = reason
    end
  end
end
return refused
