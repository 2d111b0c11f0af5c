import Foundation
import TestSupport

@testable import Common

/// The queue as lines of text: once from the reference, once from Redis. Equal states give equal lines.
extension ReferenceQueue {
  /// One line for each job, then the sizes of the places and the markers, then `everything` else.
  func lines(_ ids: [String], everything: Bool) -> [String] {
    var result = ids.map(line)
    let cards = [organics.count, deadlines.count, dues.count, leases.count, dead.count, ledger.count]
    result.append("sizes " + cards.map(String.init).joined(separator: " "))
    let wakes = [wakeOrganic, wakeDue, wakeCheck].map { $0.map(String.init) ?? "" }
    result.append("wake " + wakes.joined(separator: ","))
    guard everything else { return result }
    result.append("dead:bytes \(deadBytes)")
    result.append("paused " + paused.sorted().joined(separator: " "))
    result.append("pace " + (pace.map { String(format: "%.9g", $0.tokens) + " \($0.at)" } ?? ""))
    for (name, table) in [("counts", counts), ("checks", checks), ("verdicts", verdicts), ("usage", usage)] {
      result.append(name + text(table))
    }
    result.append("fold \(cursor) " + history.joined(separator: " "))
    result.append("begun" + begun.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined())
    for (id, period) in periods.sorted(by: { $0.key < $1.key }) {
      var fields = period.settled
      fields["planned"] = period.planned
      fields["next"] = period.next
      fields["scheduled"] = period.scheduled
      let life = period.state == "closed" ? "L" : ""
      result.append("period \(id) \(period.state)\(life)" + text(fields))
      let volume = volumes[id] ?? [:]
      result.append("volume \(id) \(volume.isEmpty ? "" : life)" + text(volume))
    }
    for worker in wakeWorkers.keys.sorted() {
      result.append("wake \(worker) " + wakeWorkers[worker]!.sorted().joined(separator: " "))
    }
    return result + ledger
  }

  private func text(_ table: [String: Int]) -> String {
    table.sorted { $0.key < $1.key }.map { " \($0.key)=\($0.value)" }.joined()
  }

  private func line(_ id: String) -> String {
    guard let job = jobs[id] else { return "\(id) ,,,,,,,,,,,,, | ,,,,, | , | " }
    func text(_ value: Int?) -> String { value.map(String.init) ?? "" }
    var fields = [String](repeating: "", count: 14)
    if job.hasRecord {
      fields = [
        job.state, job.kind.rawValue, job.task, text(job.attempt), text(job.crashes), job.token ?? "",
        job.worker ?? "", text(job.replyBytes),
        text(job.order), text(job.deadline), job.remote ?? "", job.hotkey ?? "", text(job.kept),
        job.isRemembered ? "L" : "",
      ]
    }
    var places = [String](repeating: "", count: 6)
    switch job.place {
    case .nowhere: break
    case .organic: places[0] = text(job.order)
    case .due(let at): places[2] = String(at)
    case .lease(let at): places[3] = String(at)
    case .dead(let at): places[4] = String(at)
    case .lane(let at): places[5] = String(at)
    }
    if job.isInDeadlines { places[1] = text(job.deadline) }
    let life = job.reply.last?.hasPrefix("end=") == true ? "L " : ""
    let reply = life + job.reply.joined(separator: " ")
    return "\(id) \(fields.joined(separator: ",")) | \(places.joined(separator: ",")) | "
      + "\(text(job.payload)),\(text(job.answer)) | \(reply)"
  }
}

extension JobQueue {
  /// The same lines, from Redis.
  func lines(
    _ ids: [String], everything: Bool, periods: [Int], workers: [String]
  ) async throws -> [String] {
    var command = RedisCommand("EVAL", JobQueue.describe, "1", keys.prefix, everything ? "1" : "0")
    for list in [ids, periods.map(String.init), workers] { command.add(list: list) }
    return (try await redis.send(command).elements ?? []).map { $0.text ?? "" }
  }

  /// KEYS the shard's prefix. ARGS 1 for everything, else 0; lists of jobs, periods and workers.
  private static let describe = """
    local p, out, at = KEYS[1], {}, 1
    local function list()
      local count, result = tonumber(ARGV[at + 1]), {}
      for i = 1, count do result[i] = ARGV[at + 1 + i] end
      at = at + 1 + count
      return result
    end
    local function join(values, count, separator)
      for i = 1, count do values[i] = values[i] and tostring(values[i]) or '' end
      return table.concat(values, separator or ',', 1, count)
    end
    local function hash(key, skip)
      local all, pairs_of = redis.call('HGETALL', key), {}
      for i = 1, #all, 2 do
        if not skip or not skip[all[i]] then pairs_of[#pairs_of + 1] = ' ' .. all[i] .. '=' .. all[i + 1] end
      end
      table.sort(pairs_of)
      return table.concat(pairs_of)
    end
    local function life(key) return redis.call('PTTL', key) > 0 and 'L' or '' end
    local function size(key) return redis.call('EXISTS', key) == 1 and redis.call('STRLEN', key) or false end
    local function score(key, id) return redis.call('ZSCORE', p .. key, id) end
    for _, id in ipairs(list()) do
      local key = p .. 'job:' .. id
      local job = redis.call('HMGET', key, 'state', 'kind', 'task', 'attempt', 'crashes', 'token', 'worker',
        'bytes', 'order', 'deadline', 'remote', 'hotkey', 'kept')
      local lane = job[3] and score('check:' .. job[3], id)
      local reply = {}
      for i, entry in ipairs(redis.call('XRANGE', p .. 'reply:' .. id, '-', '+')) do
        local f = entry[2]
        reply[i] = f[1] == 'n' and f[2] .. ':' .. #f[8] or ''
        for k = 1, #f, 2 do if f[k] == 'end' then reply[i] = 'end=' .. f[k + 1] end end
      end
      local replied = life(p .. 'reply:' .. id)
      job[14] = life(key)
      out[#out + 1] = id .. ' ' .. join(job, 14) .. ' | ' .. join({score('organic', id),
        score('organic:deadline', id), score('due', id), score('lease', id), score('dead', id), lane}, 6)
        .. ' | ' .. join({size(p .. 'payload:' .. id), size(p .. 'answer:' .. id)}, 2) .. ' | '
        .. (replied == 'L' and 'L ' or '') .. table.concat(reply, ' ')
    end
    out[#out + 1] = 'sizes ' .. join({redis.call('ZCARD', p .. 'organic'),
      redis.call('ZCARD', p .. 'organic:deadline'), redis.call('ZCARD', p .. 'due'),
      redis.call('ZCARD', p .. 'lease'), redis.call('ZCARD', p .. 'dead'), redis.call('XLEN', p .. 'ledger')},
      6, ' ')
    out[#out + 1] = 'wake ' .. join({score('wake:organic', 'organic'), score('wake:due', 'due'),
      score('wake:check', 'check')}, 3)
    if ARGV[1] == '0' then return out end
    out[#out + 1] = 'dead:bytes ' .. (redis.call('GET', p .. 'dead:bytes') or '0')
    local paused = redis.call('SMEMBERS', p .. 'paused')
    table.sort(paused)
    out[#out + 1] = 'paused ' .. table.concat(paused, ' ')
    local pace = redis.call('HMGET', p .. 'pace', 'tokens', 'at')
    out[#out + 1] = 'pace ' .. (pace[1] and string.format('%.9g %d', pace[1], pace[2]) or '')
    for _, name in ipairs({'counts', 'checks', 'verdicts', 'usage'}) do
      out[#out + 1] = name .. hash(p .. name)
    end
    out[#out + 1] = 'fold ' .. (redis.call('HGET', p .. 'fold', 'cursor') or '') .. ' '
      .. table.concat(redis.call('LRANGE', p .. 'weights:history', 0, -1), ' ')
    out[#out + 1] = 'begun' .. hash(p .. 'checks:begun')
    local unmoved = {v = 1, state = 1, start = 1, ['end'] = 1, snapshot = 1, seed = 1, closed = 1}
    for _, id in ipairs(list()) do
      local key = p .. 'period:' .. id
      if redis.call('EXISTS', key) == 1 then
        out[#out + 1] = 'period ' .. id .. ' ' .. redis.call('HGET', key, 'state') .. life(key)
          .. hash(key, unmoved)
        out[#out + 1] = 'volume ' .. id .. ' ' .. life(key .. ':volume') .. hash(key .. ':volume')
      end
    end
    for _, id in ipairs(list()) do
      local waked = redis.call('ZRANGE', p .. 'wake:worker:' .. id, 0, -1)
      if #waked > 0 then
        table.sort(waked)
        out[#out + 1] = 'wake ' .. id .. ' ' .. table.concat(waked, ' ')
      end
    end
    for _, entry in ipairs(redis.call('XRANGE', p .. 'ledger', '-', '+')) do
      local fields, f = {}, entry[2]
      for i = 1, #f, 2 do
        if f[i] ~= 'v' and f[i] ~= 'snapshot' then
          fields[#fields + 1] = f[i]
          fields[#fields + 1] = f[i + 1]
        end
      end
      out[#out + 1] = table.concat(fields, ' ')
    end
    return out
    """
}
