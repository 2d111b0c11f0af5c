import Common

/// The program `vision-producer`.
public enum ProducerProgram {
  /// Its settings.
  public static let table = SettingsTable(
    program: "vision-producer",
    about: "Plans which miner is tested when, period by period. Any number may run; one leads.",
    settings: CommonSettings.service + [
      CommonSettings.minerNetworks,
      Setting(
        "roster-file", .path,
        help: "A JSON file that lists the miners; read again whenever it changes."),
      Setting(
        "roster-command", .string(maxBytes: 4096),
        help: "A shell command that prints the same JSON; an alternative to roster-file."),
      Setting(
        "roster-seconds", .integer(1...86_400), default: "60",
        help: "How often roster-command runs, in seconds."),
      Setting(
        "period-seconds", .integer(SubnetConfig.periodSecondsRange),
        help: "The length of a period in seconds, instead of the configuration's."
          + " Claims are scaled to it."),
      Setting(
        "periods", .integer(1...1_000_000), help: "Stop after so many periods were closed."),
      Setting(
        "waiting-max", .integer(1...1_000_000), default: String(DoorLimits.standard.waitingMax),
        help: "Most users' requests that wait; beyond it the door answers full."),
      Setting(
        "payload-bytes-max", .integer(1_024...64 << 20), default: String(DoorLimits.standard.payloadBytesMax),
        help: "Most bytes of one request's payload; beyond it the door answers too_large."),
    ], elsewhere: KnownSettings.names)

  /// Runs until it is told to stop, or until `periods` periods were closed.
  /// - Throws: `ProducerError` or `RedisError` when the settings make no sense.
  @IO public static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    let origin = try rosterOrigin(settings)
    let config = try ConfigSource(path: settings.string("config"), log: context.log)
    guard try await RedisStart.isReady(context) else { return .ok }
    let redis = RedisClient(address: try settings.redisAddress(), options: .init(name: "vision-producer"))
    defer { redis.close() }
    var client = HTTPClient.Configuration()
    client.networks = settings.networks("miner-networks")
    let http = HTTPClient(client)
    defer { http.close() }
    let service = ProducerService(
      queue: JobQueue(redis: redis, keys: Keys(namespace: settings.string("namespace"))),
      roster: RosterSource(origin, networks: client.networks, log: context.log), config: config, http: http,
      options: .init(
        periodSeconds: settings.intIfSet("period-seconds"), periodsMax: settings.intIfSet("periods"),
        door: DoorLimits(
          waitingMax: settings.int("waiting-max"), payloadBytesMax: settings.int("payload-bytes-max"))),
      log: context.log)
    context.log.info("producer started", ["config": config.current.digest])
    await service.run(until: context.stopping)
    context.log.info("producer stopped")
    return .ok
  }

  private static func rosterOrigin(_ settings: Settings) throws(ProducerError) -> RosterSource.Origin {
    switch (settings.stringIfSet("roster-file"), settings.stringIfSet("roster-command")) {
    case (let path?, nil): return .file(path: path)
    case (nil, let command?):
      return .command(command, everySeconds: settings.int("roster-seconds"))
    case (nil, nil): throw ProducerError("set one of roster-file and roster-command: who are the miners?")
    case (_?, _?): throw ProducerError("roster-file and roster-command exclude each other")
    }
  }
}
