import Foundation

/// The Lua scripts by which alone the queue's state changes. Each is one file in `Scripts/`, whose header
/// gives its guarantee, keys, arguments and result.
public enum Script: String, CaseIterable, Sendable {
  case submit, claim, append, settle, renew, release, recover, cancel, expire, status
  case lead, deregister, schedule, sweep, pause, revive, checkpoint, inspect, route, repair, mend, nudge
  case openPeriod = "open_period"
  case closePeriod = "close_period"
  case claimCheck = "claim_check"
  case noteCheck = "note_check"
  case settleCheck = "settle_check"

  /// Which clock the scripts read.
  public enum Clock: Sendable {
    /// Redis's own.
    case redis
    /// A key that tests set.
    case testKey

    /// The body of `memory_share`: the share of the memory that is used, and the memory, bytes.
    var memoryCode: String {
      switch self {
      case .redis:
        """
        local text = redis.call('INFO', 'memory')
        local most = tonumber(string.match(text, 'maxmemory:(%d+)') or '0')
        if most == 0 then return 0, math.huge end
        return tonumber(string.match(text, 'used_memory:(%d+)')) / most, most
        """
      case .testKey:
        "return tonumber(redis.call('GET', prefix .. '\(Keys.Fixed.testMemory.rawValue)') or '0')"
      }
    }

    /// The body of `now_ms`.
    var code: String {
      switch self {
      case .redis: "local t = redis.call('TIME') return t[1] * 1000 + math.floor(t[2] / 1000)"
      case .testKey: "return tonumber(redis.call('GET', prefix .. '\(Keys.Fixed.testClock.rawValue)'))"
      }
    }
  }

  /// Whether the script takes new work in. Only these are refused when Redis's memory is short; what makes
  /// progress never is.
  var isIntake: Bool {
    switch self {
    case .submit, .openPeriod, .schedule: return true
    default: return false
    }
  }

  /// Whether the script only looks. Such a one may be run by a user who can read and not write.
  var isReadOnly: Bool { self == .inspect || self == .status }

  /// What the script says of itself to Redis.
  private var flags: String {
    if isReadOnly { return " flags=no-writes" }
    // `submit` refuses by itself, with a reason, also when all memory is used.
    return isIntake && self != .submit ? "" : " flags=allow-oom"
  }

  /// The script's own text.
  var body: String {
    let bytes: [UInt8]
    switch self {
    case .submit: bytes = PackageResources.submit_lua
    case .claim: bytes = PackageResources.claim_lua
    case .append: bytes = PackageResources.append_lua
    case .settle: bytes = PackageResources.settle_lua
    case .renew: bytes = PackageResources.renew_lua
    case .release: bytes = PackageResources.release_lua
    case .recover: bytes = PackageResources.recover_lua
    case .cancel: bytes = PackageResources.cancel_lua
    case .expire: bytes = PackageResources.expire_lua
    case .status: bytes = PackageResources.status_lua
    case .lead: bytes = PackageResources.lead_lua
    case .deregister: bytes = PackageResources.deregister_lua
    case .schedule: bytes = PackageResources.schedule_lua
    case .sweep: bytes = PackageResources.sweep_lua
    case .pause: bytes = PackageResources.pause_lua
    case .revive: bytes = PackageResources.revive_lua
    case .inspect: bytes = PackageResources.inspect_lua
    case .route: bytes = PackageResources.route_lua
    case .repair: bytes = PackageResources.repair_lua
    case .mend: bytes = PackageResources.mend_lua
    case .nudge: bytes = PackageResources.nudge_lua
    case .checkpoint: bytes = PackageResources.checkpoint_lua
    case .openPeriod: bytes = PackageResources.open_period_lua
    case .closePeriod: bytes = PackageResources.close_period_lua
    case .claimCheck: bytes = PackageResources.claim_check_lua
    case .noteCheck: bytes = PackageResources.note_check_lua
    case .settleCheck: bytes = PackageResources.settle_check_lua
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The fixed keys that the script's header names, in the order in which they are passed.
  var keys: [Keys.Fixed] {
    var names = ""
    var isListing = false
    var rest = body[...]
    while rest.hasPrefix("-- "), let end = rest.utf8.firstIndex(of: UInt8(ascii: "\n")) {
      let line = rest[..<end]
      rest = rest[rest.utf8.index(after: end)...]
      if line.hasPrefix("-- KEYS ") { isListing = true } else if line.hasPrefix("-- ARGS ") { break }
      if isListing { names += line.dropFirst(line.hasPrefix("-- KEYS ") ? 8 : 3) }
    }
    return names.split(separator: ",").map { entry in
      let name = entry.split(separator: " ").first.map(String.init) ?? ""
      guard let key = Keys.Fixed(rawValue: name) else {
        preconditionFailure("\(rawValue).lua names the unknown key '\(name)'")
      }
      return key
    }
  }

  /// What Redis runs: flags, the line that says what it is, the names of the keys, clock and memory, what it needs of
  /// the prelude, and its own text.
  package func source(clock: Clock) -> String {
    let names = keys.map { $0.rawValue.replacingOccurrences(of: ":", with: "_") + "_key" }
    let places = names.indices.map { "KEYS[\($0 + 1)]" }
    let text = Prelude.stripped(body)
    let memory = isIntake ? "local function memory_share() \(clock.memoryCode) end\n" : ""
    return """
      #!lua\(flags)
      \(body.filledLines.first ?? "")
      local prefix = string.match(KEYS[1], '^.-}:')
      local \(names.joined(separator: ", ")) = \(places.joined(separator: ", "))
      local function now_ms() \(clock.code) end
      \(memory)\(Prelude.needed(by: text))\(text)
      """
  }
}
