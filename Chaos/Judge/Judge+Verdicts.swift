import Common

extension Judge {
  // MARK: what every fault must leave whole

  /// Requests that were accepted and never ended.
  var lostRequests: [String] {
    requests.filter { $0.value.acceptedAt != nil && $0.value.endings == 0 }.keys.sorted()
  }

  /// Planned queries that no entry of the ledger settles.
  var lostQueries: [String] { due.keys.filter { (effects[$0]?.settlements ?? 0) == 0 }.sorted() }

  /// Jobs whose effect counts twice: planned queries with two settlements, requests with two good answers or
  /// two endings.
  var doubled: [String] {
    let twice = effects.filter { $0.value.settlements > 1 || $0.value.good > 1 }.keys
    let endings = requests.filter { $0.value.endings > 1 }.keys
    return Set(twice).union(endings).sorted()
  }

  /// Jobs that the ledger calls answered, of which no miner knows a whole answer.
  var unearned: [String] {
    effects.filter { job, effect in
      guard effect.good > 0, let seed = seed(of: job) else { return false }
      return (services[seed]?.completed ?? 0) == 0
    }.keys.sorted()
  }

  /// Replies with a gap, with something twice, or that went on after their end.
  var broken: [String] {
    requests.filter { $0.value.endings > 0 && (!$0.value.isWhole || $0.value.afterEnd > 0) }.keys.sorted()
  }

  // MARK: what some faults are about

  /// Times that miners were asked in vain: beyond once for each job that was started, and beyond the attempts
  /// that the ledger has, such as the second request beside a silent miner. Of requests that were given up, only
  /// those count that a miner saw given up.
  var reruns: Int {
    var told: [Int: Int] = [:]
    for job in Set(requests.keys).union(due.keys) {
      guard let seed = seed(of: job) else { continue }
      let effect = effects[job] ?? Effects()
      told[seed, default: 0] += max(1, effect.attempts + min(effect.givenUp, services[seed]?.left ?? 0))
    }
    return services.reduce(0) { $0 + max(0, $1.value.beginnings.count - told[$1.key, default: 1]) }
  }

  /// How long after a kill each of the dead worker's jobs was begun again or ended, ms. Jobs of which
  /// nothing is seen afterwards had ended before.
  var takeovers: [Int] {
    killings.flatMap { killing in
      killing.jobs.compactMap { job -> Int? in
        let began = seed(of: job).flatMap { services[$0]?.beginnings.first { $0 > killing.at } }
        let ended = requests[job]?.endedAt.flatMap { $0 > killing.at ? $0 : nil }
        let written = effects[job]?.firstAt.flatMap { $0 > killing.at ? $0 : nil }
        return [began, ended, written].compactMap { $0 }.min().map { $0 - killing.at }
      }
    }
  }

  /// How long after its time each planned query reached its miner, ms; negative when it was early. Miners tell
  /// queries apart by their seeds: of two with the same one, which chance brings among many thousands, neither
  /// can be judged.
  var latenesses: [Int] {
    let seeds = due.keys.compactMap { job in seed(of: job).map { (job, $0) } }
    let owners = Dictionary(grouping: seeds) { $0.1 }
    return owners.compactMap { seed, jobs in
      guard jobs.count == 1, let at = due[jobs[0].0] else { return nil }
      return services[seed]?.beginnings.min().map { $0 - at }
    }
  }

  /// How long each accepted request waited for its miner, ms.
  var waits: [Int] {
    requests.values.compactMap { request in
      guard let accepted = request.acceptedAt, let began = services[request.seed]?.beginnings.min() else {
        return nil
      }
      return max(0, began - accepted)
    }
  }

  /// How long each refusal took, ms.
  var refusalTimes: [Int] { requests.values.filter { $0.refusal != nil }.map(\.refusalMilliseconds) }

  /// The longest attempt at a miner, ms.
  var longestAttempt: Int { effects.values.map(\.longest).max() ?? 0 }

  /// Users' requests and planned queries that reached a miner within these bounds.
  func beginnings(from start: Int, to end: Int) -> (users: Int, tests: Int) {
    let asked = Set(requests.values.map(\.seed))
    var found = (users: 0, tests: 0)
    for (seed, service) in services {
      let count = service.beginnings.count { $0 >= start && $0 <= end }
      if asked.contains(seed) { found.users += count } else { found.tests += count }
    }
    return found
  }

  /// The longest time between two beginnings at the miners, within these bounds, ms.
  func longestGap(from start: Int, to end: Int) -> Int {
    let times = services.values.flatMap(\.beginnings).filter { $0 >= start && $0 <= end }.sorted()
    return zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? end - start
  }

  /// How long after each of these moments the next query began at a miner, ms.
  func resumptions(after moments: [Int]) -> [Int] {
    let times = services.values.flatMap(\.beginnings).sorted()
    return moments.map { moment in times.first { $0 > moment }.map { $0 - moment } ?? Int.max / 2 }
  }

  /// When a fault of this name happened, Unix ms.
  func times(of fault: String) -> [Int] { faults.filter { $0.what == fault }.map(\.at) }
}
