import Simulator

Simulator.run(Array(CommandLine.arguments.dropFirst()))
