// swift-tools-version: 6.2
import PackageDescription

/// Swift 6 language mode, warnings are errors, async functions stay on their caller's actor.
let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
]

/// The Lua scripts, embedded in the programs as bytes.
let scripts = ["prelude"]

/// A library in `Sources/<folder>` and, beside it in `Main/`, the few lines that make it a program.
func service(_ folder: String, program: String, also dependencies: [Target.Dependency] = []) -> [Target] {
  [
    .target(
      name: folder, dependencies: ["Common"] + dependencies, path: "Sources/\(folder)",
      exclude: ["Main"], swiftSettings: settings),
    .executableTarget(
      name: program, dependencies: ["Common", .target(name: folder)], path: "Sources/\(folder)/Main",
      swiftSettings: settings),
  ]
}

let package = Package(
  name: "vision",
  products: [
    .executable(name: "vision-producer", targets: ["vision-producer"]),
    .executable(name: "vision-workers", targets: ["vision-workers"]),
    .executable(name: "vision-aggregator", targets: ["vision-aggregator"]),
    .executable(name: "vision-simulator", targets: ["vision-simulator"]),
    .executable(name: "vision", targets: ["vision"]),
  ],
  targets: [
    .systemLibrary(name: "CHiredis"),
    .systemLibrary(name: "CCurl"),
    .target(name: "CShims"),
    .target(
      name: "Common", dependencies: ["CHiredis", "CCurl", "CShims"],
      resources: scripts.map { .embedInCode("Queue/Scripts/\($0).lua") }, swiftSettings: settings),
  ]
    + service("Producer", program: "vision-producer")
    + service("Workers", program: "vision-workers")
    + service("Aggregator", program: "vision-aggregator")
    + service("Simulator", program: "vision-simulator", also: ["CShims"])
    + service("Vision", program: "vision", also: ["Aggregator"])
    + [
      .testTarget(name: "CommonTests", dependencies: ["Common"], swiftSettings: settings),
      .testTarget(name: "SimulatorTests", dependencies: ["Common", "Simulator"], swiftSettings: settings),
      .testTarget(name: "TidyTests", swiftSettings: settings),
    ]
)
