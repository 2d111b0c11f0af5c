import Common
import Foundation

/// Runs cases one after the other and shows what each gave.
@IO
final class ChaosRunner {
  private let settings: Settings
  private let seed: Int
  private var broken: [String] = []

  init(_ settings: Settings) {
    self.settings = settings
    seed = settings.intIfSet("seed") ?? Int.random(in: 1...Int(Int32.max))
  }

  /// Whether everything held in all of them.
  func run(_ cases: [ChaosCase]) async throws -> Bool {
    let asJSON = settings.bool("json")
    if !asJSON {
      Chaos.show("seed \(seed)")
      Chaos.show(Figure.heading)
    }
    let started = Monotonic.now()
    for each in cases {
      try Task.checkCancellation()
      for figure in try await figures(of: each) {
        Chaos.show(asJSON ? figure.json(fault: each.name, seed: seed) : figure.line(fault: each.name))
        if figure.holds == false { broken.append("\(each.name): \(figure.promise)") }
      }
    }
    if !asJSON {
      let seconds = Monotonic.now().milliseconds(since: started) / 1000
      let names = cases.count == 1 ? "1 case" : "\(cases.count) cases"
      let verdict = broken.isEmpty ? "all holds" : "\(broken.count) figures do not hold"
      Chaos.show("\(verdict): \(names) in \(seconds) s, seed \(seed)")
      for line in broken { Chaos.show("BROKEN \(line)") }
    }
    return broken.isEmpty
  }

  /// One case, within its time. What keeps it from its end is a broken promise too.
  private func figures(of each: ChaosCase) async throws -> [Figure] {
    let minutes = settings.double("minutes")
    let parameters = StageParameters(
      name: each.name, seed: seed, minutes: minutes > 0 ? minutes : nil, times: settings.intIfSet("times"))
    let stage = try Stage(parameters)
    let work = IO.task { @IO in try await each.run(stage) }
    var isOverdue = false
    let limit = each.secondsMax(parameters)
    let timer = EventLoop.shared.after(milliseconds: limit * 1000) {
      isOverdue = true
      work.cancel()
    }
    let result = await withTaskCancellationHandler {
      await work.result
    } onCancel: {
      work.cancel()
    }
    timer.cancel()
    let wasCancelled = Task.isCancelled
    let lastWords = stage.lastWords
    // A task that was cancelled would not wait for the processes to end.
    await IO.task { @IO in await stage.end(keeping: self.settings.bool("keep")) }.value
    if wasCancelled { throw CancellationError() }
    var figures = stage.figures
    if case .failure(let error) = result {
      let reason = isOverdue ? "not at its end after \(limit) s" : String(describing: error)
      Chaos.complain("\(each.name): \(reason)\n\(lastWords)")
      figures.append(Figure(promise: "comes to its end", value: 0, unit: "", aim: .exactly(1)))
    }
    return figures
  }
}
