import Common
import Foundation

if CommandLine.arguments.dropFirst().first == FuzzChild.verb {
  FuzzChild.main(Array(CommandLine.arguments.dropFirst(2)))
}
Service.run(Fuzz.table, work: Fuzz.run)
