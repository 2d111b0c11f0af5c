import Common
import Foundation

if CommandLine.arguments.dropFirst().first == HoldServer.verb {
  HoldServer.main(Array(CommandLine.arguments.dropFirst(2)))
}
if CommandLine.arguments.dropFirst().first == CountedRequests.verb {
  CountedRequests.main(Array(CommandLine.arguments.dropFirst(2)))
}
Service.run(Benchmarks.table, work: Benchmarks.run)
