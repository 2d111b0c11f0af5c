// swift-tools-version: 6.2
import PackageDescription

/// Swift 6 language mode, warnings are errors, async functions stay on their caller's actor. Exclusive access is
/// checked at run time in debug builds, with every test; in release it is a tenth of a token's instructions.
let settings: [SwiftSetting] = [
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("ExistentialAny"),
  .unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release)),
]

/// The Lua scripts, embedded in the programs as bytes.
let scripts = [
  "append", "cancel", "checkpoint", "claim", "claim_check", "close_period", "deregister", "expire",
  "inspect", "lead", "mend", "note_check", "nudge", "open_period", "pause", "prelude", "recover", "release",
  "renew", "repair", "revive", "route", "schedule", "settle", "settle_check", "status", "submit", "sweep",
]

/// A library in `Sources/<folder>` and, beside it in `Main/`, the few lines that make it a program.
func service(
  _ folder: String, program: String, also dependencies: [Target.Dependency] = [], resources: [Resource] = []
) -> [Target] {
  [
    .target(
      name: folder, dependencies: ["Common"] + dependencies, path: "Sources/\(folder)",
      exclude: ["Main"], resources: resources, swiftSettings: settings),
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
    // Preloaded by scripts/chaos to give a program another date.
    .library(name: "vision-clock", type: .dynamic, targets: ["ClockShift"]),
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
    + service("Workers", program: "vision-workers", resources: [.embedInCode("Requests/corpus.txt")])
    + service("Aggregator", program: "vision-aggregator")
    + service("Simulator", program: "vision-simulator")
    + service("Vision", program: "vision", also: ["Aggregator"])
    + [
      .executableTarget(
        name: "vision-bench", dependencies: ["Common", "Aggregator", "Workers"], path: "Benchmarks",
        exclude: ["Bare", "Counts/counts.txt", "Peers"], swiftSettings: settings),
      // What a worker's I/O costs by itself, for scripts/bench to set beside it.
      .executableTarget(
        name: "vision-bare", path: "Benchmarks/Bare",
        linkerSettings: [.linkedLibrary("curl"), .linkedLibrary("hiredis")]),
      .executableTarget(
        name: "vision-fuzz", dependencies: ["Common", "Producer", "Workers", "Aggregator"], path: "Fuzz",
        exclude: ["Corpus"], swiftSettings: settings),
      .executableTarget(
        name: "vision-chaos", dependencies: ["Common"], path: "Chaos", exclude: ["Clock"],
        swiftSettings: settings),
      .target(name: "ClockShift", path: "Chaos/Clock"),
      .executableTarget(
        name: "ProcessFixture", dependencies: ["Common"], path: "Tests/ProcessFixture",
        swiftSettings: settings),
      .target(
        name: "TestSupport", dependencies: ["Common"], path: "Tests/TestSupport", swiftSettings: settings),
      .testTarget(
        name: "CommonTests", dependencies: ["Common", "TestSupport", "ProcessFixture"],
        resources: [.copy("Golden/vectors"), .copy("Golden/safe.json")],
        swiftSettings: settings),
    ]
    + ["Producer", "Workers", "Aggregator", "Simulator", "Vision"].map { folder in
      .testTarget(
        name: "\(folder)Tests",
        dependencies: ["Common", "TestSupport", .target(name: folder)]
          + (folder == "Workers" ? ["Simulator", "vision-workers"] : [])
          + (folder == "Vision" ? ["Producer", "Workers", "Aggregator", "Simulator", "vision"] : []),
        swiftSettings: settings)
    }
    + [
      .testTarget(
        name: "BenchmarksTests", dependencies: ["Common", "Workers", "vision-bench"],
        swiftSettings: settings),
      .testTarget(name: "FuzzTests", dependencies: ["Common", "vision-fuzz"], swiftSettings: settings),
      .testTarget(
        name: "ChaosTests",
        dependencies: [
          "Common", "TestSupport", "Workers", "vision-chaos", "vision-workers", "vision-simulator", "vision",
        ], swiftSettings: settings),
      .testTarget(name: "TidyTests", swiftSettings: settings),
    ]
)
