import Common
import Workers

let table = SettingsTable(
  program: "vision-workers",
  about: "Sends queries to miners and answers to checking servers, and enqueues what came of them.",
  settings: CommonSettings.service + WorkerSettings.own)

Service.run(table) { context in
  let service = try WorkerService(context)
  return await service.run()
}
