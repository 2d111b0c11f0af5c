import Common
import Workers

let table = SettingsTable(
  program: "vision-workers",
  about: "Sends queries to miners and answers to checking servers, and enqueues what came of them.",
  settings: CommonSettings.service + WorkerSettings.own, elsewhere: KnownSettings.names)

Service.run(table) { context in
  guard try await RedisStart.isReady(context) else { return .ok }
  let service = try WorkerService(context)
  return await service.run()
}
