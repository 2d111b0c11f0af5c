import Foundation
import Simulator

exit(Simulator.run(Array(CommandLine.arguments.dropFirst())))
