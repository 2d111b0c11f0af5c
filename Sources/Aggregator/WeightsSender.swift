import Common

/// Sends weights to the file and the command that the settings name. A try that fails is repeated with
/// growing pauses, for a limited number of times, and until newer weights take its place.
@IO
final class WeightsSender {
  private enum Target: CaseIterable { case file, command }

  /// Bytes of the command's output that are read; it is not used.
  private static let outputMaxBytes = 1 << 20
  /// The longest pause between two tries.
  private static let longestPauseMilliseconds = 60_000

  /// How sending went so far.
  private(set) var status = SendStatus()
  /// Called at each change of ``status``.
  var onStatus: (@IO (SendStatus) async -> Void)?
  /// Whether anything is to be sent at all.
  let hasTargets: Bool

  private let options: AggregatorOptions
  private let log: Log
  private var wanted: WeightsDocument?
  private var lastSent: WeightsDocument?
  private var runner: Task<Void, Never>?
  private var changed = Signal()

  init(options: AggregatorOptions, log: Log) {
    self.options = options
    self.log = log
    hasTargets = !options.isDryRun && (options.weightsFile != nil || options.weightsCommand != nil)
  }

  /// Takes over what another process reported, unless this one knows of something newer.
  func remember(_ reported: SendStatus) {
    if (reported.sentAtMilliseconds ?? 0) >= (status.sentAtMilliseconds ?? 0) { status = reported }
  }

  /// Sends a document, instead of the one before if that is still being tried.
  func offer(_ document: WeightsDocument) {
    guard hasTargets, wanted != document else { return }
    wanted = document
    wake()
    if runner == nil { runner = IO.task { @IO in await self.run() } }
  }

  /// Gives up what has not succeeded yet; a try that runs ends by itself.
  func drop() {
    wanted = nil
    wake()
  }

  /// As ``drop()``, and waits for the try that runs.
  func finish() async {
    drop()
    await runner?.value
  }

  private func wake() {
    changed.fire()
    changed = Signal()
  }

  private func run() async {
    while let document = wanted {
      if document == lastSent { await onStatus?(status) } else { await send(document) }
      if wanted == document { wanted = nil }
    }
    runner = nil
  }

  private func send(_ document: WeightsDocument) async {
    var targets = Target.allCases.filter { target in
      target == .file ? options.weightsFile != nil : options.weightsCommand != nil
    }
    for number in 1...options.sendTriesMax {
      let change = changed
      var problems: [String] = []
      for target in targets {
        guard let problem = await tryOnce(target, document) else {
          targets.removeAll { $0 == target }
          continue
        }
        problems.append(problem)
      }
      if problems.isEmpty {
        await succeeded(document, tries: number)
        return
      }
      await failed(document, problems.joined(separator: "; "), tries: number)
      guard wanted == document, number < options.sendTriesMax else { return }
      await pause(after: number, orUntil: change)
      guard wanted == document else { return }
    }
  }

  private func pause(after number: Int, orUntil change: Signal) async {
    let milliseconds = min(
      options.firstRetryMilliseconds << min(number - 1, 16), Self.longestPauseMilliseconds)
    let either = Signal()
    let timer = EventLoop.shared.after(milliseconds: milliseconds) { either.fire() }
    let watch = change.onFire { either.fire() }
    await either.wait()
    timer.cancel()
    change.forget(watch)
  }

  private func succeeded(_ document: WeightsDocument, tries: Int) async {
    lastSent = document
    status = SendStatus()
    status.sentPeriod = document.period
    status.sentAtMilliseconds = WallClock.nowMilliseconds()
    log.info("weights sent", ["period": document.period.description, "tries": tries])
    await onStatus?(status)
  }

  private func failed(_ document: WeightsDocument, _ problem: String, tries: Int) async {
    status.failures += 1
    status.error = String(problem.prefix(500))
    status.errorAtMilliseconds = WallClock.nowMilliseconds()
    log.warning(
      "weights not sent",
      [
        "period": document.period.description, "tries": tries, "tries_max": options.sendTriesMax,
        "reason": problem,
      ])
    await onStatus?(status)
  }

  /// Sends to one target. Returns what went wrong; nil when it succeeded.
  private func tryOnce(_ target: Target, _ document: WeightsDocument) async -> String? {
    switch target {
    case .file:
      guard let path = options.weightsFile else { return nil }
      do throws(AtomicFile.Failure) {
        try await WeightsFile.replace(path, with: document.json)
        return nil
      } catch { return error.description }
    case .command:
      guard let command = options.weightsCommand else { return nil }
      let limits = ChildLimits(
        stdoutMaxBytes: Self.outputMaxBytes, timeoutMilliseconds: options.commandMilliseconds)
      do throws(ChildError) {
        let result = try await ChildProcess.run(
          ChildCommand(["/bin/sh", "-c", command]), input: document.json, limits: limits)
        if result.status.isSuccess { return nil }
        let said = String(decoding: result.stderr.prefix(300), as: UTF8.self)
        return "the command ended with \(result.status): \(said)"
      } catch { return "the command: \(error)" }
    }
  }
}
