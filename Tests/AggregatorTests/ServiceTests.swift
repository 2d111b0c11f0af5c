import Common
import Foundation
import TestSupport
import Testing

@testable import Aggregator

private struct Killed: Error {}

@Suite("The aggregator")
struct ServiceTests {
  @Test("two aggregators at once give one fold and one publication of each period")
  @IO func two() async throws {
    try await Pipeline.with { pipeline in
      for number in 1...3 {
        try await pipeline.runPeriod(number, score: { miner in 1 - Double(miner) / 10 })
      }
      let expected = try await pipeline.expectedResults()
      let stopping = Signal()
      let fixed = pipeline
      let services = [try pipeline.service(), try pipeline.service()]
      for service in services {
        service.onStep = { _ in if try await fixed.results().count >= 3 { stopping.fire() } }
      }
      async let first: Void = services[0].run(until: stopping)
      async let second: Void = services[1].run(until: stopping)
      _ = try await (first, second)
      let results = try await pipeline.results()
      #expect(results == expected)
      let fold = try await pipeline.hash(.fold)
      let newest = try await pipeline.queue.readLedger(after: "", limit: 10_000).last?.id
      #expect(fold["cursor"] == newest)
      let leader = try await pipeline.queue.redis.send("GET", pipeline.queue.keys.leader("aggregator"))
      #expect(leader.isNull, "the role was not given back")
    }
  }

  @Test("a role that was given back stays free, even when it was being renewed at that moment")
  @IO func roleGivenBack() async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.runPeriod(1)
      var options = Pipeline.options
      options.renewMilliseconds = 0
      var held = 0
      for _ in 0..<100 {
        try await pipeline.aggregate(results: 1, options)
        let leader = try await pipeline.queue.redis.send("GET", pipeline.queue.keys.leader("aggregator"))
        if !leader.isNull { held += 1 }
        try await pipeline.endRole()
      }
      #expect(held == 0)
    }
  }

  @Test("killed at any step and resumed, it publishes the same weights bit for bit")
  @IO func killed() async throws {
    try await Pipeline.with { pipeline in
      for number in 1...3 {
        try await pipeline.runPeriod(
          number, outcome: { miner in miner == 2 && number == 2 ? .serverError : .ok },
          score: { miner in 1 - Double(miner) / 7 })
      }
      let expected = try await pipeline.expectedResults()
      for life in 0..<40 {
        let service = try pipeline.service()
        var steps = 1 + life % 7
        service.onStep = { _ in
          steps -= 1
          if steps == 0 { throw Killed() }
        }
        await #expect(throws: Killed.self) { try await service.run(until: Signal()) }
        try await pipeline.endRole()
      }
      try await pipeline.aggregate(results: 3)
      let results = try await pipeline.results()
      #expect(results == expected)
      let last = try JSONDecoder().decode(PeriodResult.self, from: Data(try #require(expected.last).utf8))
      let weights = try await pipeline.hash(.weights)
      #expect(weights.count == 3)
      for (hotkey, weight) in try #require(last.weights) {
        #expect(weights[hotkey]?.contains("\"weight\":\(weight),") == true)
      }
    }
  }

  @Test(
    "what was folded in vain is dropped when somebody else saved, with the role or without it",
    arguments: [true, false])
  @IO func moved(keepsRole: Bool) async throws {
    try await Pipeline.with { pipeline in
      for number in 1...2 { try await pipeline.runPeriod(number) }
      let expected = try await pipeline.expectedResults()
      let service = try pipeline.service()
      let stopping = Signal()
      let fixed = pipeline
      let key = fixed.queue.keys.leader("aggregator")
      var isFirst = true
      var loads = 0
      service.onStep = { step in
        if step == .loaded { loads += 1 }
        if step == .loaded, loads == 2 { stopping.fire() }
        guard step == .folded, isFirst else { return }
        isFirst = false
        let token = try await fixed.queue.redis.send("GET", key).text ?? ""
        try await fixed.endRole()
        try await fixed.aggregate(results: 2)
        if keepsRole { _ = try await fixed.queue.redis.send("SET", key, token) }
      }
      try await service.run(until: stopping)
      #expect(loads == 2)
      let results = try await pipeline.results()
      #expect(results == expected)
    }
  }

  @Test("a lost connection drops what is in memory and not saved")
  @IO func lostConnection() async throws {
    try await Pipeline.with { pipeline in
      for number in 1...2 { try await pipeline.runPeriod(number) }
      let expected = try await pipeline.expectedResults()
      let service = try pipeline.service()
      let stopping = Signal()
      let fixed = pipeline
      var steps: [FoldStep] = []
      service.onStep = { step in
        steps.append(step)
        if try await fixed.results().count >= 2 { stopping.fire() }
        guard steps == [.loaded, .read, .folded] else { return }
        let clients = try await fixed.queue.redis.send("CLIENT", "LIST").text ?? ""
        for line in clients.split(separator: "\n") where line.contains(" name=vision-aggregator ") {
          let id = line.split(separator: " ")[0].dropFirst(3)
          _ = try await fixed.queue.redis.send("CLIENT", "KILL", "ID", String(id))
        }
      }
      try await service.run(until: stopping)
      #expect(Array(steps.prefix(4)) == [.loaded, .read, .folded, .loaded])
      let results = try await pipeline.results()
      #expect(results == expected)
    }
  }

  @Test("who loses the role notices by itself, and stands by for it again")
  @IO func lostRole() async throws {
    try await Pipeline.with { pipeline in
      let service = try pipeline.service()
      let stopping = Signal()
      let key = pipeline.queue.keys.leader("aggregator")
      let redis = pipeline.queue.redis
      var (loads, reads) = (0, 0)
      service.onStep = { step in
        if step == .loaded { loads += 1 }
        if step == .read { reads += 1 }
        if step == .loaded, loads == 1 { _ = try await redis.send("SET", key, "other", "PX", "100") }
        if loads == 2 || reads > 2_000 { stopping.fire() }
      }
      try await service.run(until: stopping)
      #expect(loads == 2)
    }
  }

  @Test("stopping saves what was folded and not saved yet")
  @IO func stopping() async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.open(1)
      try await pipeline.work(1)
      var options = Pipeline.options
      options.saveMilliseconds = 3_600_000
      let service = try pipeline.service(options)
      let stopping = Signal()
      var saves = 0
      var folds = 0
      service.onStep = { step in
        if step == .saved { saves += 1 }
        if step == .folded { folds += 1 }
        if folds == 4 { stopping.fire() }
      }
      try await service.run(until: stopping)
      #expect(saves == 1)
      let newest = try await pipeline.queue.readLedger(after: "", limit: 1000).last?.id
      let fold = try await pipeline.hash(.fold)
      #expect(fold["cursor"] == newest)
    }
  }

  @Test("nobody earned anything: the weights before stay, and it says so")
  @IO func nothing() async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.runPeriod(1)
      try await pipeline.aggregate(results: 1)
      let before = try await pipeline.hash(.weights)
      #expect(before.count == 3)
      let about = try await pipeline.hash(.weightsMeta)
      #expect(about["outcome"] == "set" && about["nothing_set"] == "" && about["period"] == "3600")
      #expect(about["planned"] == "24" && about["done"] == "24" && about["missing"] == "0")
      #expect(
        about["verdicts"]
          == #"{"chat":{"miners":3,"of":3,"verdicts":12},"code":{"miners":3,"of":3,"verdicts":12}}"#)
      pipeline.miners = 0
      try await pipeline.runPeriod(2)
      try await pipeline.aggregate(results: 2)
      let weights = try await pipeline.hash(.weights)
      #expect(weights == before)
      let after = try await pipeline.hash(.weightsMeta)
      #expect(after["outcome"] == "nothing" && after["nothing_set"]?.isEmpty == false)
      #expect(after["period"] == "7200" && after["weights_period"] == "3600" && after["planned"] == "0")
    }
  }

  @Test("old periods leave the ledger, and nothing that is kept, open or not folded does")
  @IO func trimming() async throws {
    try await Pipeline.with { pipeline in
      var options = Pipeline.options
      options.keptPeriods = 2
      for number in 1...2 { try await pipeline.runPeriod(number) }
      // Still open while the third one closes: its entries must stay.
      for number in 3...4 { try await pipeline.open(number) }
      let all = try await pipeline.queue.readLedger(after: "", limit: 10_000)
      try await pipeline.aggregate(results: 2, options)
      let untouched = try await pipeline.queue.readLedger(after: "", limit: 10_000)
      #expect(untouched.map(\.id) == all.map(\.id), "two periods are to be kept")
      try await pipeline.work(4)
      try await pipeline.check()
      try await pipeline.close(4)
      let opened = try await pipeline.queue.readLedger(after: "", limit: 10_000).filter {
        if case .opened = $0.entry { true } else { false }
      }
      try await pipeline.aggregate(results: 3, options)
      let left = try await pipeline.queue.readLedger(after: "", limit: 10_000)
      #expect(left.first?.id == opened[1].id, "the second and the fourth are kept")
      let about = try await pipeline.hash(.weightsMeta)
      #expect(about["first_ids"] == "\(opened[3].id) \(opened[1].id)")
    }
  }

  @Test("nothing after the saved cursor is ever dropped")
  func trimmable() throws {
    var script = LedgerScript()
    script.append(.opened(.make()))
    script.append(.closed(PeriodID(startSeconds: 3600)))
    let result = try #require(script.results.first)
    let closed = ClosedPeriod(result: result, json: "", verdicts: [:], openFirstIDs: [])
    let record = WeightsRecord(["first_ids": "900-0 700-0"])
    #expect(record.trimmable(closed, keptPeriods: 2, savedCursor: "950-0") == LedgerID("700-0"))
    #expect(record.trimmable(closed, keptPeriods: 2, savedCursor: "650-1") == LedgerID("650-1"))
    #expect(record.trimmable(closed, keptPeriods: 3, savedCursor: "950-0") == nil)
    #expect(record.trimmable(closed, keptPeriods: 2, savedCursor: "") == nil)
    var open = closed
    open.openFirstIDs = [LedgerID(milliseconds: 600, sequence: 2)]
    #expect(record.trimmable(open, keptPeriods: 2, savedCursor: "950-0") == LedgerID("600-2"))
  }

  @Test(
    "a state that cannot be used stops the program and stays as it is",
    arguments: ["", "{}", #"{"version":3,"rows":[]}"#, "later"])
  @IO func unusable(state: String) async throws {
    try await Pipeline.with { pipeline in
      try await pipeline.runPeriod(1)
      let fold = pipeline.queue.keys.fixed(.fold)
      var state = state
      if state == "later" {
        var ahead = FoldState()
        ahead.apply(.closed(PeriodID(startSeconds: 1)), id: "9000000000000-0")
        state = String(decoding: try ahead.encoded(), as: UTF8.self)
      }
      _ = try await pipeline.queue.redis.send("HSET", fold, "cursor", "5-0", "state", state)
      let before = try await pipeline.hash(.fold)
      let service = try pipeline.service()
      let error = await #expect(throws: AggregatorError.self) { try await service.run(until: Signal()) }
      #expect(error?.exitCode == .failed)
      let isNewer = state.hasPrefix(#"{"version":3"#)
      #expect(error?.description.contains("it has layout 3") == isNewer)
      let after = try await pipeline.hash(.fold)
      #expect(after == before)
      let results = try await pipeline.results()
      #expect(results.isEmpty)
    }
  }

  @Test("a ledger entry that nobody understands is counted and passed")
  @IO func unreadable() async throws {
    try await Pipeline.with { pipeline in
      let ledger = pipeline.queue.keys.fixed(.ledger)
      try await pipeline.open(1)
      for _ in 0..<20 { _ = try await pipeline.queue.redis.send("XADD", ledger, "*", "v", "9", "type", "x") }
      try await pipeline.work(1)
      try await pipeline.close(1)
      let expected = try await pipeline.expectedResults()
      try await pipeline.aggregate(results: 1)
      let results = try await pipeline.results()
      #expect(results == expected)
      let about = try await pipeline.hash(.weightsMeta)
      #expect(about["unreadable"] == "20")
    }
  }
}
