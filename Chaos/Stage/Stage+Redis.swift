import Common

extension Stage {
  /// A number of `INFO`.
  func info(_ section: String, _ name: String) async throws -> Int {
    let text = try await redis("INFO", section).text ?? ""
    for line in text.split(whereSeparator: \.isNewline) where line.hasPrefix(name + ":") {
      return Int(line.dropFirst(name.count + 1)) ?? 0
    }
    throw ChaosFailure("INFO \(section) says nothing of \(name)")
  }

  func usedMemory() async throws -> Int { try await info("memory", "used_memory") }

  /// Scripts in the log of slow commands, which keeps what took more than 5 ms.
  func showSlowScripts() async throws {
    let entries = try await redis("SLOWLOG", "GET", "256").elements ?? []
    let slow = entries.filter { entry in
      let word = entry[3]?[0]?.text?.uppercased() ?? ""
      return word == "EVALSHA" || word == "EVAL" || word == "FCALL"
    }
    show("scripts that took more than 5 ms", slow.count, "", .exactly(0))
  }

  /// Settles what the period leaves over, as the producer does after its end.
  func sweepPeriod() async throws {
    guard let snapshot else { return }
    try await wait(seconds: 120, for: "the end of the period") {
      try await self.queue.nowMilliseconds() >= snapshot.endMilliseconds
    }
    while try await queue.sweep(leader: "chaos", period: snapshot.id) ?? 0 > 0 {
      try Task.checkCancellation()
    }
  }
}
