import Aggregator
import Common

let table = SettingsTable(
  program: "vision-aggregator",
  about: "Folds the ledger of all outcomes into period scores and weights, and sends the weights.",
  settings: CommonSettings.service + AggregatorOptions.settings, elsewhere: KnownSettings.names)

Service.run(table) { context in
  guard try await RedisStart.isReady(context) else { return .ok }
  let service = AggregatorService(
    address: try context.settings.redisAddress(), keys: Keys(namespace: context.settings.string("namespace")),
    options: AggregatorOptions(context.settings), log: context.log)
  try await service.run(until: context.stopping)
  return .ok
}
