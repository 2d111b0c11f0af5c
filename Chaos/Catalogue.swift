/// Every case, in the order of its number.
enum Catalogue {
  static let all: [ChaosCase] = [
    WorkerCases.kill, KillPoints.atCalls, WorkerCases.pause, StopCases.rolling, StopCases.versions,
    RedisCases.killEverysec, RedisCases.killAlways, SentinelCases.failover, SentinelCases.partition,
    ConnectionCases.clientKill, ConnectionCases.blackhole, ConnectionCases.lostReplies,
    ConnectionCases.slowNetwork,
    QueueCases.unblock, QueueCases.flush, QueueCases.duplicates, QueueCases.cancel,
    CapacityCases.memoryFull, CapacityCases.longJobs, CapacityCases.overload, CapacityCases.slowReader,
    MinerCases.badMiners, MinerCases.midStream, MinerCases.poison,
    ClockCases.clocks, LeaderCases.leaders, SoakCase.soak,
    LoadCases.million, LoadCases.burst, LoadCases.idle,
  ].sorted { $0.number < $1.number }
}
