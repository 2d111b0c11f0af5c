import Common
import Foundation
import Glibc

/// The program `vision-simulator`.
public enum Simulator {
  /// Runs the program until SIGTERM or SIGINT. The first argument says what it serves; exit code 2 when
  /// it says nothing known.
  public static func run(_ arguments: [String]) -> Never {
    guard let role = arguments.first.flatMap(SimulatorRole.init) else {
      let words = SimulatorRole.allCases.map(\.rawValue).joined(separator: ", ")
      let asksForHelp = arguments.first == "--help" || arguments.first == "-h"
      let text = "usage: vision-simulator WORD …, where WORD is one of \(words); WORD --help tells more\n"
      FileHandle(fileDescriptor: asksForHelp ? 1 : 2).write(Data(text.utf8))
      exit((asksForHelp ? ExitCode.ok : .usage).rawValue)
    }
    Service.run(role.table, arguments: Array(arguments.dropFirst())) { context in
      let stop: @IO () -> Void
      switch role {
      case .miners: stop = try serveMiners(context)
      case .checker: stop = try serveChecker(context)
      case .flood: stop = try serveFlood(context)
      }
      await context.stopping.wait()
      stop()
      return .ok
    }
  }

  @IO private static func serveMiners(_ context: ServiceContext) throws -> @IO () -> Void {
    let settings = context.settings
    let seed = UInt64(settings.int("seed"))
    let subnet = try subnet(settings)
    let population = try population(settings, subnet: subnet, seed: seed)
    let basePort = settings.intIfSet("base-port")
    if let basePort, basePort + population.miners.count > 65_536 {
      throw UsageError("base-port \(basePort) leaves no ports for \(population.miners.count) miners")
    }
    let fleet = try MinerFleet(population, basePort: basePort)
    if let path = settings.stringIfSet("truth") {
      try HandOver.write(GroundTruth(population: population).json(seed: seed).canonicalText(), to: path)
    }
    try fleet.start()
    var random = SeededRandom(seed: seed, "validator")
    let validator =
      settings.stringIfSet("validator-hotkey") ?? subnet.validatorHotkey
      ?? Population.hotkey(using: &random)
    // Whoever sees the roster can use it: it is written last.
    let roster = fleet.roster(validatorHotkey: validator).canonicalText()
    if let path = settings.stringIfSet("roster") {
      try HandOver.write(roster, to: path)
    } else {
      print(roster)
      fflush(nil)
    }
    context.log.info("miners are served", ["miners": population.miners.count])
    return { fleet.stop() }
  }

  private static func subnet(_ settings: Settings) throws -> SimulatedSubnet {
    guard let path = settings.stringIfSet("config") else {
      guard let profile = ProfileName(rawValue: settings.string("profile")) else {
        throw UsageError("profile is unknown")
      }
      return SimulatedSubnet(profile: profile)
    }
    guard let data = FileManager.default.contents(atPath: path) else {
      throw UsageError("cannot read \(path)")
    }
    do throws(ConfigError) {
      return SimulatedSubnet(try SubnetConfig(parsing: data))
    } catch {
      throw UsageError("\(path): \(error)")
    }
  }

  private static func population(
    _ settings: Settings, subnet: SimulatedSubnet, seed: UInt64
  ) throws -> Population {
    let count = settings.int("miners")
    guard let list = settings.stringIfSet("behaviours") else {
      return Population(count: count, cheats: settings.bool("cheats"), subnet: subnet, seed: seed)
    }
    let kinds = try list.split(separator: ",").map { name in
      guard let kind = BehaviourKind(rawValue: String(name)) else {
        throw UsageError("behaviours: \(name) is none; --help lists them")
      }
      return kind
    }
    guard !kinds.isEmpty else { throw UsageError("behaviours names none") }
    return Population(kinds: (0..<count).map { kinds[$0 % kinds.count] }, subnet: subnet, seed: seed)
  }

  @IO private static func serveChecker(_ context: ServiceContext) throws -> @IO () -> Void {
    let settings = context.settings
    let behaviour = CheckerSettings(
      seed: UInt64(settings.int("seed")), checkMilliseconds: settings.int("check-time"),
      modelSwitchMilliseconds: settings.int("model-switch-time"),
      slowMilliseconds: settings.int("slow-time"),
      faults: try CheckerSettings.faults(parsing: settings.string("faults")))
    let server = try CheckingServer(behaviour, port: settings.int("port"))
    try server.start()
    try announce(ports: [server.port], context)
    return { server.stop() }
  }

  @IO private static func serveFlood(_ context: ServiceContext) throws -> @IO () -> Void {
    let settings = context.settings
    let mode = FloodServer.Mode.stream(
      tokensPerSecond: settings.double("tokens-per-second"), count: settings.int("tokens"))
    let journal = try settings.stringIfSet("journal").map { try FloodJournal(path: $0) }
    let server = try FloodServer(
      settings.bool("plain") ? .plain : mode, port: settings.int("port"), ports: settings.int("ports"),
      fault: settings.stringIfSet("fault").flatMap(FloodFault.init), journal: journal)
    try server.start()
    try announce(ports: server.ports, context)
    return { server.stop() }
  }

  @IO private static func announce(ports: [Int], _ context: ServiceContext) throws {
    if let path = context.settings.stringIfSet("port-file") {
      try HandOver.write(ports.map { "\($0)\n" }.joined(), to: path)
    }
    context.log.info("serving", ["port": ports.first ?? 0, "ports": ports.count])
  }
}
