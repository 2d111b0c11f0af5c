import Testing

@testable import Vision

@Suite("The judgement of a demo")
struct DemoReportTests {
  private func line(
    _ number: Int, truth: Double, weight: Double, behaviour: String = "honest", twin: Int? = nil
  ) -> DemoReport.Line {
    .init(
      hotkey: "hk\(number)", uid: number, behaviour: behaviour, twin: twin.map { "hk\($0)" }, truth: truth,
      weight: weight)
  }

  private func lines(_ pairs: [(Double, Double)]) -> [DemoReport.Line] {
    pairs.enumerated().map { line($0, truth: $1.0, weight: $1.1) }
  }

  @Test("correlates ranks, not values")
  func ranks() {
    #expect(DemoReport.spearman(lines([(1, 0.1), (2, 0.2), (300, 0.7)])) == 1)
    #expect(DemoReport.spearman(lines([(1, 0.7), (2, 0.2), (300, 0.1)])) == -1)
    // Ranks (1, 2, 3, 4) and (2, 1, 4, 3): 1 - 6 * 4 / (4 * 15).
    #expect(abs(DemoReport.spearman(lines([(1, 2), (2, 1), (3, 4), (4, 3)])) - 0.6) < 1e-12)
  }

  @Test("gives equal miners the mean of their ranks")
  func ties() {
    // Ranks (1.5, 1.5, 3) and (1, 2, 3): 1.5 / sqrt(1.5 * 2).
    let found = DemoReport.spearman(lines([(1, 1), (1, 2), (2, 3)]))
    #expect(abs(found - 1.5 / 3.0.squareRoot()) < 1e-12)
  }

  @Test("is 0 when all are equal, or nobody is there")
  func constant() {
    #expect(DemoReport.spearman(lines([(1, 0.5), (1, 0.5)])) == 0)
    #expect(DemoReport.spearman(lines([(1, 0.5), (2, 0.5)])) == 0)
    #expect(DemoReport.spearman([]) == 0)
  }

  @Test("has nothing against weights that follow the truth, with cheats below their twins")
  func good() {
    let all = [
      line(0, truth: 1, weight: 0.2), line(1, truth: 2, weight: 0.3), line(2, truth: 3, weight: 0.5),
      line(3, truth: 0, weight: 0, behaviour: "over-declares", twin: 2),
    ]
    #expect(DemoReport.problems(all) == [])
  }

  @Test("objects to a cheat that earns as much as its honest twin")
  func cheat() {
    let all = [
      line(0, truth: 1, weight: 0.1), line(1, truth: 2, weight: 0.2), line(2, truth: 3, weight: 0.35),
      line(3, truth: 3, weight: 0.35, behaviour: "skips work", twin: 2),
    ]
    let problems = DemoReport.problems(all)
    #expect(problems.count == 1)
    #expect(problems.first?.contains("skips work") == true)
  }

  @Test("objects to weights in the wrong order, and to weights that do not sum to 1")
  func wrong() {
    let reversed = DemoReport.problems(lines([(1, 0.6), (2, 0.3), (3, 0.1)]))
    #expect(reversed.map { $0.contains("rank correlation") } == [true])
    let short = DemoReport.problems(lines([(1, 0.1), (2, 0.3), (3, 0.5)]))
    #expect(short.map { $0.contains("sum to") } == [true])
  }
}
