import Common
import Foundation

/// Other job queues beside ours, in the same run: `Benchmarks/Peers/driver.py` measures them, against the run's
/// Redis and with their worker where ours is.
@IO
enum QueuePeers {
  /// One of them.
  private struct Peer {
    /// As its figures and the driver call it.
    let name: String
    /// The file in `Benchmarks/Peers` that lists what it needs.
    var requirements = "requirements.txt"
    /// Jobs of one drain.
    let drained: Int
    /// What it is set to so that it takes jobs back within a minute; nil where no documented setting does on a
    /// queue without traffic.
    var recovery: String?
  }

  private static let all = [
    Peer(
      name: "dramatiq", drained: 5_000,
      recovery: "heartbeat_timeout 10 s, maintenance at each command; by default none in 143 s, quoted"),
    Peer(name: "taskiq", drained: 5_000),
    Peer(
      name: "bullmq", drained: 2_000,
      recovery: "lockDuration and stalledInterval 10 s; by default 76 s, quoted"),
    Peer(
      name: "arq", requirements: "requirements-arq.txt", drained: 2_000,
      recovery: "job_timeout 10 s; by default 310 s, from its source"),
    Peer(name: "celery", drained: 2_000),
  ]

  /// A figure of the driver's, and the one of ours to set beside the best of them.
  struct Figure {
    /// The driver's name for it.
    let name: String
    let unit: String
    var ours: (name: String, value: Double)?
    /// Whether more is better.
    var isRate = false
  }

  // MARK: installation

  /// Makes a Python environment for each list of requirements, in the run's folder.
  static func install(_ lab: Lab) async throws {
    for list in Set(all.map(\.requirements)).sorted() {
      let folder = lab.file("python")
      _ = try await Peers.run(["python3", "-m", "venv", folder])
      let python = folder + "/bin/python"
      let requirements = try Lab.find("Benchmarks/Peers/" + list)
      _ = try await Peers.run(
        [
          python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement",
          requirements,
        ], seconds: 300)
      lab.pythons[list] = python
    }
  }

  /// The pinned versions, as in `celery 5.7.0`.
  static func versions() throws -> [(String, String)] {
    try Set(all.map(\.requirements)).sorted().flatMap { list in
      let text = try String(contentsOfFile: try Lab.find("Benchmarks/Peers/" + list), encoding: .utf8)
      return text.matches(of: /(?m)^([a-z-]+)==(\S+)$/).map { (String($0.1), String($0.2)) }
    }
  }

  // MARK: measurement

  /// A row for each figure of each peer and, where ours is given, one for ours in relation to the best of them.
  /// None without `--peers`.
  static func rows(_ lab: Lab, bench: String, _ figures: [Figure]) async throws -> [Row] {
    guard !lab.pythons.isEmpty else { return [] }
    let measurement = String(bench.dropFirst("queue-".count))
    var rows: [Row] = []
    var reached: [String: [(peer: String, value: Double)]] = [:]
    for peer in all where measurement != "crash" || peer.recovery != nil {
      let values = try await measure(lab, peer, measurement)
      for figure in figures {
        guard let value = values[figure.name] else {
          throw BenchFailure("\(peer.name) does not tell \(figure.name)")
        }
        reached[figure.name, default: []].append((peer.name, value))
        rows.append(
          Row(
            bench: bench, metric: "\(peer.name)_\(figure.name)", value: value, unit: figure.unit,
            anchor: measurement == "crash" ? peer.recovery ?? "" : ""))
      }
    }
    for figure in figures {
      guard let ours = figure.ours else { continue }
      let sorted = (reached[figure.name] ?? []).sorted { $0.value < $1.value }
      guard let best = figure.isRate ? sorted.last : sorted.first else { continue }
      rows.append(
        Row(
          bench: bench, metric: "\(ours.name)_to_best_peer", value: ours.value / best.value, unit: "x",
          anchor: "\(best.peer)'s \(Row.shown(best.value)) \(figure.unit)"))
    }
    return rows
  }

  /// The medians of what the driver measured. Only drains are short enough to be repeated.
  private static func measure(
    _ lab: Lab, _ peer: Peer, _ measurement: String
  ) async throws -> [String: Double] {
    let jobs =
      switch measurement {
      case "drain": peer.drained
      case "crash": QueueCrashBench.jobs
      default: 1_000
      }
    var measured: [String: [Double]] = [:]
    for _ in 0..<(measurement == "drain" ? Lab.rounds : 1) {
      _ = try await lab.redis.send("FLUSHALL", "SYNC")
      let (text, _) = try await Peers.run([
        lab.pythons[peer.requirements] ?? "", try Lab.find("Benchmarks/Peers/driver.py"), peer.name,
        measurement, "--socket", lab.redisSocket, "--redis-pid", String(lab.redisProcess?.pid ?? 0),
        "--notes", lab.file("notes"), "--jobs", String(jobs),
      ])
      for (name, value) in try JSONDecoder().decode([String: Double].self, from: Data(text.utf8)) {
        measured[name, default: []].append(value)
      }
    }
    _ = try await lab.redis.send("FLUSHALL", "SYNC")
    return measured.mapValues(\.median)
  }
}
