import Common
import Testing

@testable import Workers

@Suite("What workers tell each other")
struct MinerReportTests {
  let start = Monotonic(nanoseconds: 1_000_000_000_000)
  let tuning = RouterTuning()

  func learned(_ seed: UInt64) -> Router {
    var random = SeededRandom(seed: seed)
    var router = Router()
    for _ in 0..<300 {
      let name = "hk\(random.below(20))"
      router.began(task: "t", hotkey: name)
      let first = random.below(3_000)
      if random.below(4) > 0 {
        router.answered(task: "t", hotkey: name, firstContentMilliseconds: first, now: start)
      }
      if random.below(5) > 0 {
        let outcome = Outcome.allCases[random.below(Outcome.allCases.count)]
        router.ended(
          task: "t", hotkey: name,
          Router.End(
            outcome: outcome, firstContentMilliseconds: first, paceMilliseconds: random.uniform() * 90),
          now: start)
      }
    }
    return router
  }

  @Test("is read as it was written, but for rounding")
  func roundTrip() {
    let seed = UInt64.random(in: 0 ... .max)
    let told = learned(seed).report(task: "t", now: start.advanced(milliseconds: 700))
    let read = MinerReportText.decode(MinerReportText.encode(told))
    #expect(read.count == told.count && !told.isEmpty, "seed \(seed)")
    for (one, other) in zip(told, read) {
      #expect(one.hotkey == other.hotkey && one.inFlight == other.inFlight, "seed \(seed)")
      #expect(one.ageMilliseconds == other.ageMilliseconds, "seed \(seed)")
      #expect(abs(one.firstMilliseconds - other.firstMilliseconds) <= 0.05, "seed \(seed)")
      #expect(abs(one.paceMilliseconds - other.paceMilliseconds) <= 0.005, "seed \(seed)")
      #expect(abs(one.lateFailures - other.lateFailures) <= 0.0001, "seed \(seed)")
      #expect(one.ejectedMilliseconds == other.ejectedMilliseconds, "seed \(seed)")
      #expect(one.pausedMilliseconds == other.pausedMilliseconds, "seed \(seed)")
    }
  }

  @Test("bytes of another version, or of nobody's making, are left out and harm nothing")
  func damaged() {
    #expect(MinerReportText.decode([]).isEmpty)
    #expect(MinerReportText.decode(Array("2\nhk0 1 2 3 4 5 6 7 8 9 10 11".utf8)).isEmpty)
    #expect(MinerReportText.decode(Array("1\nhk0 1 2 3 4 5 6 7 8 9 10 11".utf8)).count == 1)
    for line in [
      "hk0 1 2 3 4 5 6 7 8 9 10", "hk0 1 2 3 4 5 6 7 8 9 10 nan", "hk0 -1 2 3 4 5 6 7 8 9 10 11",
      "hk0 1 2 3 4 5 6 7 8 9 10 99999999999999999999", "hk0 1 2 3 4 5 6 7 8 9 10 11 12",
      "hk0 1  3 4 5 6 7 8 9 10 11 12", " 1 2 3 4 5 6 7 8 9 10 11", "hk0",
    ] {
      #expect(MinerReportText.decode(Array("1\n\(line)".utf8)).isEmpty, "\(line)")
    }
    let seed = UInt64.random(in: 0 ... .max)
    var random = SeededRandom(seed: seed)
    let good = MinerReportText.encode(learned(1).report(task: "t", now: start))
    for _ in 0..<500 {
      var bytes = good
      for _ in 0..<8 { bytes[random.below(bytes.count)] = UInt8(random.below(256)) }
      var router = Router()
      router.adopt(
        task: "t", reports: [(ageMilliseconds: 5, miners: MinerReportText.decode(bytes))], now: start)
      for (name, health) in router.tasks["t"]?.miners ?? [:] {
        #expect(health.cost(at: start, tuning).isFinite, "\(name), seed \(seed)")
        #expect((tuning.limitMin...tuning.limitMax).contains(health.limit), "\(name), seed \(seed)")
      }
    }
  }

  @Test("stays within its size, and tells the latest observed miners first")
  func bounded() {
    var router = Router()
    for index in 0..<400 {
      router.began(task: "t", hotkey: "hk\(index)")
      router.answered(
        task: "t", hotkey: "hk\(index)", firstContentMilliseconds: 9, now: start.advanced(milliseconds: index)
      )
    }
    let told = router.report(task: "t", now: start.advanced(milliseconds: 400))
    #expect(told.count == Router.reportedMax)
    #expect(told.first?.hotkey == "hk399" && told.last?.hotkey == "hk144")
    #expect(router.report(task: "other", now: start).isEmpty)
  }

  @Test("the later observation stands, and a time out ends at the same moment for all")
  func merge() {
    var (one, other) = (Router(), Router())
    for _ in 0..<tuning.failuresMax {
      one.began(task: "t", hotkey: "hk0")
      one.ended(task: "t", hotkey: "hk0", Router.End(outcome: .connectTimeout), now: start)
    }
    let read = start.advanced(milliseconds: 1_200)
    other.answered(task: "t", hotkey: "hk1", firstContentMilliseconds: 40, now: read)
    one.answered(task: "t", hotkey: "hk1", firstContentMilliseconds: 900, now: start)
    let told = one.report(task: "t", now: start.advanced(milliseconds: 800))
    other.adopt(task: "t", reports: [(ageMilliseconds: 400, miners: told)], now: read)
    let ends = [one, other].map { $0.health(task: "t", hotkey: "hk0").ejectedUntil }
    #expect(ends[0] != nil && ends[0] == ends[1])
    #expect(other.health(task: "t", hotkey: "hk1").firstMilliseconds == 40, "what is older is no news")
    #expect(
      !other.report(task: "t", now: read).contains { $0.hotkey == "hk0" }, "what was heard is not told again")
    one.adopt(
      task: "t", reports: [(ageMilliseconds: 0, miners: other.report(task: "t", now: read))], now: read)
    #expect(one.health(task: "t", hotkey: "hk1").firstMilliseconds == 40)
  }
}
