import Common
import Foundation

/// The program `vision-simulator`.
public enum Simulator {
  static let usage = """
    usage: vision-simulator miners [--miners N] [--seed S] [--config FILE] [--profile vision|nineteen]
                                   [--cheats | --behaviours KIND,KIND,…] [--base-port N]
                                   [--roster FILE] [--truth FILE] [--validator-hotkey KEY]
           vision-simulator checker [--port N] [--port-file FILE] [--seed S] [--check-ms N]
                                    [--model-switch-ms N] [--slow-ms N] [--faults NAME:SHARE,…]
           vision-simulator flood [--port N] [--port-file FILE] [--tokens-per-second R] [--tokens N] [--plain]
    """

  /// Serves until SIGTERM or SIGINT. Returns the exit status: 0 after a signal, 1 when it cannot serve,
  /// 2 when the arguments (without the program's name) are wrong. Call it once, on the main thread.
  public static func run(_ arguments: [String]) -> Int32 {
    let status = ExitStatus()
    EventLoop.shared.reserve()
    EndSignals.block()
    raiseFileLimit()
    Task { @IO in
      status.code = await serve(arguments)
      EventLoop.shared.stop()
    }
    EventLoop.shared.run()
    return IO.assumeIsolated { status.code }
  }

  @IO private final class ExitStatus: Sendable {
    var code: Int32 = 1
    nonisolated init() {}
  }

  @IO private static func serve(_ arguments: [String]) async -> Int32 {
    do {
      let stop: @IO () -> Void
      switch arguments.first {
      case "miners": stop = try serveMiners(arguments.dropFirst())
      case "checker": stop = try serveChecker(arguments.dropFirst())
      case "flood": stop = try serveFlood(arguments.dropFirst())
      default: throw UsageError("name one of: miners, checker, flood")
      }
      await EndSignals.wait()
      stop()
      return 0
    } catch let error as UsageError {
      say(error.description + "\n" + usage)
      return 2
    } catch {
      say("vision-simulator: \(error)")
      return 1
    }
  }

  // MARK: subcommands

  @IO private static func serveMiners(_ words: ArraySlice<String>) throws -> @IO () -> Void {
    let options: Set<String> = [
      "miners", "seed", "config", "profile", "behaviours", "base-port", "roster", "truth", "validator-hotkey",
    ]
    let arguments = try Arguments(words, options: options, flags: ["cheats"])
    let seed = UInt64(try arguments.integer("seed", default: 1, in: 0...Int.max))
    let population = try population(arguments, seed: seed)
    var basePort: Int?
    if arguments.text("base-port") != nil {
      let most = 65_536 - population.miners.count
      basePort = try arguments.integer("base-port", default: 0, in: 1024...most)
    }
    let fleet = try MinerFleet(population, basePort: basePort)
    if let path = arguments.text("truth") {
      try HandOver.write(GroundTruth(population: population).json(seed: seed).canonicalText(), to: path)
    }
    try fleet.start()
    var random = SeededRandom(seed: seed, "validator")
    let validator = arguments.text("validator-hotkey") ?? Population.hotkey(using: &random)
    // Whoever sees the roster can use it: it is written last.
    let roster = fleet.roster(validatorHotkey: validator).canonicalText()
    if let path = arguments.text("roster") {
      try HandOver.write(roster, to: path)
    } else {
      print(roster)
    }
    say("\(population.miners.count) miners are served")
    return { fleet.stop() }
  }

  private static func population(_ arguments: Arguments, seed: UInt64) throws -> Population {
    var subnet = SimulatedSubnet()
    if let path = arguments.text("config") { subnet = try SimulatedSubnet(configurationFile: path) }
    if let profile = arguments.text("profile") { subnet.profile = profile }
    guard ["vision", "nineteen"].contains(subnet.profile) else {
      throw UsageError("unknown profile \(subnet.profile)")
    }
    let count = try arguments.integer("miners", default: 24, in: 1...Population.minersMax)
    guard let list = arguments.text("behaviours") else {
      return Population(count: count, cheats: arguments.has("cheats"), subnet: subnet, seed: seed)
    }
    let kinds = try list.split(separator: ",").map { name in
      guard let kind = BehaviourKind(rawValue: String(name)) else {
        let known = BehaviourKind.allCases.map(\.rawValue).joined(separator: ", ")
        throw UsageError("unknown behaviour \(name); behaviours are \(known)")
      }
      return kind
    }
    guard !kinds.isEmpty else { throw UsageError("--behaviours names no behaviour") }
    return Population(kinds: (0..<count).map { kinds[$0 % kinds.count] }, subnet: subnet, seed: seed)
  }

  @IO private static func serveChecker(_ words: ArraySlice<String>) throws -> @IO () -> Void {
    let options: Set<String> = [
      "port", "port-file", "seed", "check-ms", "model-switch-ms", "slow-ms", "faults",
    ]
    let arguments = try Arguments(words, options: options)
    var settings = CheckerSettings()
    settings.seed = UInt64(try arguments.integer("seed", default: 1, in: 0...Int.max))
    let hour = 0...3_600_000
    settings.checkMilliseconds = try arguments.integer("check-ms", default: 50, in: hour)
    settings.modelSwitchMilliseconds = try arguments.integer("model-switch-ms", default: 0, in: hour)
    settings.slowMilliseconds = try arguments.integer("slow-ms", default: 30_000, in: hour)
    settings.faults = try CheckerSettings.faults(parsing: arguments.text("faults") ?? "")
    let port = try arguments.integer("port", default: 0, in: 0...65_535)
    let server = try CheckingServer(settings, port: port)
    try server.start()
    try announce(port: server.port, arguments)
    return { server.stop() }
  }

  @IO private static func serveFlood(_ words: ArraySlice<String>) throws -> @IO () -> Void {
    let options: Set<String> = ["port", "port-file", "tokens-per-second", "tokens"]
    let arguments = try Arguments(words, options: options, flags: ["plain"])
    let rate = try arguments.integer("tokens-per-second", default: 50, in: 0...1_000_000)
    let count = try arguments.integer("tokens", default: 100, in: 1...FloodServer.tokensMax)
    let mode = FloodServer.Mode.stream(tokensPerSecond: Double(rate), count: count)
    let port = try arguments.integer("port", default: 0, in: 0...65_535)
    let server = try FloodServer(arguments.has("plain") ? .plain : mode, port: port)
    try server.start()
    try announce(port: server.port, arguments)
    return { server.stop() }
  }

  private static func announce(port: Int, _ arguments: Arguments) throws {
    if let path = arguments.text("port-file") { try HandOver.write("\(port)\n", to: path) }
    say("serving on 127.0.0.1:\(port)")
  }

  private static func say(_ text: String) { FileHandle.standardError.write(Data((text + "\n").utf8)) }

  /// Thousands of streams need as many descriptors as the system allows.
  private static func raiseFileLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }
}
