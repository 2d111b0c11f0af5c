import Common
import Foundation

/// Reads the evidence and says what became of every request and every planned query. It asks Redis nothing.
struct Judge {
  /// A user's request, as the user saw it.
  struct Request {
    var seed = 0
    var acceptedAt: Int?
    var endedAt: Int?
    /// The field `end` of its last entry.
    var end = ""
    var tokens = 0
    /// Whether every token came once and in order.
    var isWhole = true
    var endings = 0
    var refusal: String?
    /// How long the refusal took, ms.
    var refusalMilliseconds = 0
    /// Entries that came after the last one.
    var afterEnd = 0
  }

  /// What miners saw of one seed.
  struct Service {
    var beginnings: [Int] = []
    var completed = 0
    /// Answers that the other side did not wait for.
    var left = 0
  }

  /// What the final ledger says of one job.
  struct Effects {
    /// Entries that settle a planned query, of whatever kind.
    var settlements = 0
    /// Attempts with the outcome `ok`.
    var good = 0
    var outcomes: [String] = []
    /// Entries that tell of an attempt that reached its miner, and of those that were given up and may have.
    var (attempts, givenUp) = (0, 0)
    /// Redis's time of the first entry, Unix ms.
    var firstAt: Int?
    /// The longest of its attempts, ms.
    var longest = 0
  }

  /// Jobs that a worker held when it was killed.
  struct Killing {
    var at: Int
    var jobs: [String]
  }

  private(set) var requests: [String: Request] = [:]
  private(set) var services: [Int: Service] = [:]
  private(set) var due: [String: Int] = [:]
  private(set) var effects: [String: Effects] = [:]
  private(set) var killings: [Killing] = []
  /// Other faults: what, and when.
  private(set) var faults: [(what: String, at: Int)] = []
  /// Entries of the ledger that were there once and were not at the end.
  private(set) var vanished: [(id: String, job: String)] = []
  /// How planned queries draw their seeds.
  private let periodSeed: UInt64

  init(reading path: String, periodSeed: UInt64) throws {
    self.periodSeed = periodSeed
    // Not by FileManager: of an empty file Foundation 6.3 leaks its buffer.
    guard let handle = FileHandle(forReadingAtPath: path) else {
      throw ChaosFailure("the evidence cannot be read")
    }
    let data = try handle.readToEnd() ?? Data()
    var (seen, kept): ([String: String], Set<String>) = ([:], [])
    for line in data.split(separator: 10) {
      let words = String(decoding: line, as: UTF8.self).split(separator: " ").map(String.init)
      guard words.count >= 3, let at = Int(words[0]) else { continue }
      switch words[1] {
      case "user": noteUser(words, at)
      case "miner": noteMiner(words, at)
      case "plan": due[words[2]] = words.count > 3 ? Int(words[3]) ?? 0 : 0
      case "fault":
        if words[2] == "killed" { killings.append(Killing(at: at, jobs: Array(words.dropFirst(3)))) }
        faults.append((words[2], at))
      case "ledger": if words.count > 4 { seen[words[2]] = words[4] }
      case "final":
        kept.insert(words[2])
        noteEffect(words)
      default: break
      }
    }
    vanished = seen.filter { !kept.contains($0.key) }.map { ($0.key, $0.value) }.sorted { $0.id < $1.id }
  }

  private mutating func noteUser(_ words: [String], _ at: Int) {
    guard words.count > 3 else { return }
    var request = requests[words[3]] ?? Request()
    switch words[2] {
    case "asked": request.seed = words.count > 4 ? Int(words[4]) ?? 0 : 0
    case "accepted": request.acceptedAt = at
    case "refused" where words.count > 5:
      (request.refusal, request.refusalMilliseconds) = (words[4], Int(words[5]) ?? 0)
    case "ended" where words.count > 6:
      request.endings += 1
      request.endedAt = at
      (request.end, request.tokens, request.isWhole) = (words[4], Int(words[5]) ?? 0, words[6] == "whole")
    case "after-end": request.afterEnd += 1
    default: break
    }
    requests[words[3]] = request
  }

  private mutating func noteMiner(_ words: [String], _ at: Int) {
    guard words.count > 3, let seed = Int(words[3]) else { return }
    switch words[2] {
    case "began": services[seed, default: Service()].beginnings.append(at)
    case "ended": services[seed, default: Service()].completed += 1
    case "left": services[seed, default: Service()].left += 1
    default: break
    }
  }

  /// `final <entry id> <type> <job> <outcome or reason> <settles> <ms>`
  private mutating func noteEffect(_ words: [String]) {
    guard words.count > 6, let at = Int(words[2].prefix { $0 != "-" }) else { return }
    var effect = effects[words[4]] ?? Effects()
    if words[6] == "1" { effect.settlements += 1 }
    switch words[3] == "attempt" ? words[5] : "refused" {
    case "refused", "connect_timeout": break
    case "cancelled": effect.givenUp += 1
    default: effect.attempts += 1
    }
    if words[3] == "attempt", words[5] == "ok" { effect.good += 1 }
    effect.outcomes.append(words[5])
    effect.firstAt = effect.firstAt ?? at
    effect.longest = max(effect.longest, words.count > 7 ? Int(words[7]) ?? 0 : 0)
    effects[words[4]] = effect
  }

  /// The seed by which miners know a job.
  func seed(of job: String) -> Int? {
    if let request = requests[job] { return request.seed }
    guard SyntheticJob(id: job) != nil else { return nil }
    // As Workers/Requests/SyntheticQuery draws it.
    var random = SeededRandom(seed: periodSeed, job)
    return random.below(100_000_000)
  }
}
