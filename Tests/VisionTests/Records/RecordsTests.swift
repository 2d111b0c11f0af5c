import Common
import Foundation
import TestSupport
import Testing

/// `vision replay`, `explain`, `ledger` and `score --what-if`, through the built programs.
@Suite("Periods that are over", .timeLimit(.minutes(2)))
struct RecordsTests {
  @Test("three periods replay bit for bit, against the folder and Redis")
  @IO func replay() async throws {
    try await RecordsBench.with(periods: 3) { bench in
      let all = try await bench.vision("replay", "--all")
      #expect(all.code == 0, "\(all.errors)")
      let lines = all.output.split(separator: "\n")
      #expect(lines.count == 3)
      for (number, line) in zip(1...3, lines) {
        #expect(line.hasPrefix("period \(number * 3600): bit-equal · 3 weights · profile vision · "))
        #expect(line.hasSuffix(" · Redis agrees"))
      }
      let one = try await bench.vision("replay", "--directory", bench.folder, "--period", "7200", "--offline")
      #expect(one.code == 0 && one.output.hasPrefix("period 7200: bit-equal"))
      #expect(one.output.hasSuffix(" · Redis was not asked\n"))
      let sent = FileManager.default.contents(atPath: bench.weightsFile)
      #expect(sent != nil && sent == FileManager.default.contents(atPath: bench.file(3, "weights.json")))
      let newest = try await bench.vision("replay")
      #expect(newest.output.hasPrefix("period 10800: bit-equal"))
    }
  }

  @Test("an entry altered by hand is named, with 1 and one line")
  @IO func altered() async throws {
    try await RecordsBench.with(periods: 2) { bench in
      let path = bench.file(2, "segment.jsonl")
      var lines = try String(contentsOfFile: path, encoding: .utf8).components(separatedBy: "\n")
      let victim = try #require(lines.firstIndex { $0.contains("\"work\":\"300000\"") })
      let id = try #require(try JSON(parsing: Data(lines[victim].utf8))["id"]?.text)
      lines[victim] = lines[victim].replacing("\"work\":\"300000\"", with: "\"work\":\"900000\"")
      try lines.joined(separator: "\n").write(toFile: path, atomically: true, encoding: .utf8)
      let run = try await bench.vision("replay", "--period", "7200")
      #expect(run.code == 1 && run.output == "")
      #expect(run.errors.hasPrefix("vision replay: \(path): entry \(id) (line \(victim + 1)) was altered: "))
      #expect(run.errors.split(separator: "\n").count == 1)
    }
  }

  @Test("weights that were changed in Redis are named")
  @IO func changedInRedis() async throws {
    try await RecordsBench.with(periods: 1) { bench in
      let key = bench.queue.keys.fixed(.weights)
      _ = try await bench.queue.redis.send("HSET", key, "hk1", #"{"uid":21,"weight":1,"u16":65535}"#)
      let run = try await bench.vision("replay")
      #expect(run.code == 1)
      #expect(run.errors.hasPrefix("vision replay: period 3600 in Redis: miner hk1: published {\"uid\":21,"))
    }
  }

  @Test("the folder, the period and the choice of periods are asked for in one line")
  @IO func wrongWords() async throws {
    try await RecordsBench.with(periods: 1) { bench in
      let none = try await RecordsBench.program.run(["replay"])
      #expect(
        none.code == 2 && none.errors.hasPrefix("vision replay: which folder? Name it with --directory"))
      let both = try await bench.vision("replay", "--period", "3600", "--all")
      #expect(both.code == 2 && both.errors == "vision replay: either --period or --all\n")
      let unknown = try await bench.vision("replay", "--period", "7200")
      #expect(unknown.code == 1)
      #expect(unknown.errors.hasSuffix("holds no period 7200; it holds 1, from 3600 to 3600\n"))
      let nowhere = try await bench.vision("replay", "--directory", "/nowhere")
      #expect(nowhere.errors == "vision replay: /nowhere is no folder that can be read\n")
    }
  }

  @Test("the ledger is exported on demand in the very format of the closes")
  @IO func ledger() async throws {
    try await RecordsBench.with(periods: 2) { bench in
      let closed = try String(contentsOfFile: bench.file(2, "segment.jsonl"), encoding: .utf8)
      let header = try JSON(parsing: Data(closed.prefix { $0 != "\n" }.utf8))
      let from = try #require(header["from"]?.text)
      let again = try await bench.vision("ledger", "export", "--from", from)
      #expect(again.code == 0 && again.output == closed)
      let digest = try #require(
        try JSON(parsing: Data(closed.split(separator: "\n").last!.utf8))["end"]?["digest"]?.text)
      #expect(again.errors.hasSuffix(" entries, digest \(digest)\n"))
      let output = bench.folder + "/whole.jsonl"
      let whole = try await bench.vision("ledger", "export", "--output", output)
      #expect(whole.code == 0 && whole.output == "")
      let count = try await bench.queue.redis.send("XLEN", bench.queue.keys.fixed(.ledger)).int ?? 0
      let lines = try String(contentsOfFile: output, encoding: .utf8).split(separator: "\n")
      #expect(lines.count == count + 2)
      let wrong = try await bench.vision("ledger", "export", "--from", "yesterday")
      #expect(wrong.code == 2)
      #expect(
        wrong.errors
          == "vision ledger: --from yesterday: must be an entry's id, such as 1732288800123-0\n")
      let action = try await bench.vision("ledger", "import")
      #expect(action.code == 2 && action.errors.hasPrefix("vision ledger: use: vision ledger export "))
    }
  }

  @Test("a weight is explained down to the counts, the same from the folder and from Redis")
  @IO func explain() async throws {
    try await RecordsBench.with(periods: 2) { bench in
      let folder = try await bench.vision("explain", "hk2", "--json")
      #expect(folder.code == 0, "\(folder.errors)")
      var environment = try bench.environment
      environment["VISION_EXPORT_DIRECTORY"] = nil
      let redis = try await RecordsBench.program.run(["explain", "hk2", "--json"], adding: environment)
      #expect(redis.output == folder.output)
      let json = try JSON(parsing: Data(folder.output.utf8))
      #expect(json["period"]?.int == 7200 && json["uid"]?.int == 22 && json["hotkey"]?.text == "hk2")
      let chat = try #require(json["tasks"]?[0])
      #expect(chat["task"]?.text == "chat" && chat["requests"]?.int == 3 && chat["failures"]?.int == 1)
      #expect(chat["volume"]?.double == 600 && chat["capacity"]?.double == 30_000)
      #expect(chat["verdicts"]?.int == 4 && chat["periods"]?.int == 2)
      let average = try #require(chat["average_quality"]?.double)
      #expect(abs(average - 0.6) < 1e-12)
      // A third failed, and 2 % of the capacity was used: 2/3 · (1 − 1/3 · 0.98).
      let score = try #require(chat["period_score"]?.double)
      #expect(abs(score - 2.0 / 3 * (1 - 0.98 / 3)) < 1e-12)
      #expect(json["gains"]?[0]?["gain"]?.double ?? 0 > 0)
      let older = try await bench.vision("explain", "hk2", "--period", "3600", "--json")
      #expect(try JSON(parsing: Data(older.output.utf8))["tasks"]?[0]?["verdicts"]?.int == 2)
      let table = try await bench.vision("explain", "hk2")
      for line in [
        "hk2 in period 7200: weight 0.", "  requests          3: 2 good, 0 rate limited, 1 failed",
        "  volume            600 of capacity 30000", "  verdicts          4, average 0.6",
        "What would have changed it most, with everything else as it was:\n  +0.",
      ] { #expect(table.output.contains(line), "\(table.output)") }
    }
  }

  @Test("a miner or a period that there is not is said in one line, and so is an ambiguous name")
  @IO func unknown() async throws {
    try await RecordsBench.with(periods: 1) { bench in
      let miner = try await bench.vision("explain", "nobody")
      #expect(miner.code == 1 && miner.output == "")
      #expect(
        miner.errors
          == "vision explain: no miner 'nobody' claimed capacity in period 3600, which has 3 miners with a claim\n"
      )
      let several = try await bench.vision("explain", "hk")
      #expect(
        several.errors == "vision explain: 'hk' is the beginning of 3 hotkeys, among them hk0 and hk1\n")
      let period = try await bench.vision("explain", "hk0", "--period", "60")
      #expect(
        period.code == 1 && period.errors.hasSuffix("holds no period 60; it holds 1, from 3600 to 3600\n"))
      var environment = try bench.environment
      environment["VISION_EXPORT_DIRECTORY"] = nil
      let redis = try await RecordsBench.program.run(
        ["explain", "hk0", "--period", "60"], adding: environment)
      #expect(redis.code == 1)
      #expect(redis.errors.hasPrefix("vision explain: Redis keeps no result of period 60; "))
    }
  }

  @Test("other task weights are tried on a recorded period")
  @IO func whatIf() async throws {
    try await RecordsBench.with(periods: 1) { bench in
      let asked = ["score", "--directory", bench.folder, "--what-if", "task-weight"]
      let same = try await RecordsBench.program.run(
        asked + ["chat=0.6", "--json"], adding: bench.environment)
      #expect(same.code == 0, "\(same.errors)")
      let unchanged = try JSON(parsing: Data(same.output.utf8))
      guard case .array(let weights)? = unchanged["weights"] else {
        Issue.record("no weights")
        return
      }
      let published =
        try await bench.queue.redis.send("HGETALL", bench.queue.keys.fixed(.weights)).fields ?? [:]
      #expect(weights.count == published.count)
      for weight in weights {
        let text = published[weight["hotkey"]?.text ?? ""] ?? ""
        let value = try #require(try JSON(parsing: Data(text.utf8))["weight"]?.double)
        #expect(weight["before"]?.double == value)
        #expect(abs((weight["after"]?.double ?? 0) - value) < 1e-12)
      }
      let table = try await RecordsBench.program.run(asked + ["chat=0.9"], adding: bench.environment)
      #expect(table.output.hasPrefix("period 3600\n"))
      #expect(table.output.contains("0.600000   0.900000  +0.300000"))
      #expect(table.output.contains("0.400000   0.100000  -0.300000"))
      let alone = try await RecordsBench.program.run(["score", "--directory", bench.folder])
      #expect(alone.code == 2 && alone.errors.contains("a recorded period is scored already"))
    }
  }
}
