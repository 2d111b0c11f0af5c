import Common
import Foundation
import Workers

/// What an operator writes.
extension FuzzTarget {
  static let settings = [
    FuzzTarget(
      name: "address",
      tokens: [
        "redis://", "unix://", "redis+sentinel://", "@", ":", "[::1]", "/0", "?db=", ",", "hunter2", "%40",
      ]
    ) { bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      do throws(RedisError) {
        let address = try RedisAddress(url: text)
        let again = try RedisAddress(url: address.description)
        try? expect(again.endpoint == address.endpoint && again.database == address.database, "")
      } catch {
        try expect(error.code == .invalidAddress, "an address is refused as \(error.code)")
      }
    },
    FuzzTarget(
      name: "settings",
      tokens: ["{\"redis-url\":", "\"slots\":", "\"redis-password\":\"x\"", "--slots", "VISION_SLOTS"]
    ) {
      bytes in
      let file = SettingsFile(path: "s.json", bytes: bytes, mode: 0o644)
      _ = try? table.parse(arguments: ["--settings", "s.json"], environment: [:]) { _ in file }
      let words = bytes.split(separator: 0x20).prefix(64).map { String(decoding: $0, as: UTF8.self) }
      _ = try? table.parse(arguments: words, environment: [:]) { _ in file }
      let value = words.joined(separator: " ")
      let setting = table.settings[bytes.count % table.settings.count]
      _ = try? table.parse(arguments: [], environment: [setting.variable: value]) { _ in file }
    },
    FuzzTarget(
      name: "networks",
      tokens: ["public", "any", "!", "10.0.0.0/8", "::/0", "2000::/3", "/", ",", "0x7f", "127.1"]
    ) {
      bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      _ = IPAddress(text)
      guard let policy = try? NetworkPolicy(parsing: text) else { return }
      let words = text.split(separator: ",").map { $0.filter { $0 != " " } }
      for word in words where word.hasPrefix("!") && !word.contains("/") {
        if let address = IPAddress(String(word.dropFirst())) {
          try expect(!policy.permits(address), "an excluded address is permitted")
        }
      }
      if let loopback = IPAddress("127.0.0.1"), words == ["public"] {
        try expect(!policy.permits(loopback), "the open Internet holds loopback")
      }
    },
    FuzzTarget(
      name: "config",
      tokens: ["\"tasks\":[", "\"weight\":", "\"timeouts\":{", "\"steps\":[", "\"profile\":\"vision\""]
    ) {
      bytes in
      guard let config = try? SubnetConfig(parsing: Data(bytes)) else { return }
      try expect((1...64).contains(config.tasks.count), "a table without tasks, or with too many")
      let sum = config.tasks.reduce(0) { $0 + $1.weight }
      try expect(abs(sum - 1) < 1e-6, "weights that do not add up to 1: \(sum)")
    },
    FuzzTarget(
      name: "shapes",
      tokens: ["{\"version\":1,\"rows\":[", "\"task\":\"chat\"", "\"weight\":", "\"characters\":"]
    ) { bytes in
      guard let shapes = try? QueryShapes(parsing: Data(bytes)) else { return }
      var random = SeededRandom(seed: 1)
      for _ in 0..<3 { _ = shapes.draw(task: "chat", &random) }
    },
    FuzzTarget(
      name: "subnet",
      tokens: ["\"tasks\":{", "\"miners\":", "\"capacity\":", "\"weight\":", "\"cases\":[", "\"in\":{"]
    ) {
      bytes in
      guard let parsed = try? JSON.ordered(parsing: Data(bytes)) else { return }
      for profile in [ProfileName.vision, .nineteen] {
        guard let all = try? SubnetInput.all(parsed.value, profile: profile, order: parsed.order) else {
          continue
        }
        for (_, input) in all.prefix(3) { _ = SubnetScores(input).output }
      }
    },
  ]

  private static let table = SettingsTable(
    program: "fuzz", about: "", settings: CommonSettings.service + WorkerSettings.own,
    elsewhere: KnownSettings.names)
}
