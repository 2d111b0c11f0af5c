/// What became of users' requests in a demo. Pure: what stands in their replies is told.
struct DemoUsers: Equatable {
  /// How many were accepted.
  private(set) var submitted = 0
  /// Those whose end was not seen.
  private(set) var open: Set<String> = []
  /// How many ended, by what the last entry of their reply says; errors with their status.
  private(set) var ended: [String: Int] = [:]
  /// Times to the first content, ms.
  private(set) var firstMilliseconds: [Int] = []
  /// What is wrong with a reply, one line each.
  private(set) var faults: [String] = []

  /// A request was accepted.
  mutating func submit(_ id: String) {
    submitted += 1
    open.insert(id)
  }

  /// A request's reply was read after its end.
  mutating func note(_ id: String, _ entries: [[String: String]]) {
    guard open.remove(id) != nil else { return }
    let last = entries.last ?? [:]
    let end = last["end"] ?? ""
    ended[end == "error" ? "error \(last["status"] ?? "")" : end, default: 0] += 1
    if let first = last["first_ms"].flatMap({ Int($0) }) { firstMilliseconds.append(first) }
    if let fault = Self.fault(entries) { faults.append("\(id): \(fault)") }
  }

  /// The median time to the first content, ms; nil before the first answer.
  var medianFirstMilliseconds: Int? {
    guard !firstMilliseconds.isEmpty else { return nil }
    return firstMilliseconds.sorted()[firstMilliseconds.count / 2]
  }

  /// Why a reply is no faultless one; nil when its pieces have their numbers without a gap and exactly one
  /// entry, the last one, ends it.
  static func fault(_ entries: [[String: String]]) -> String? {
    let ends = entries.indices.filter { entries[$0]["end"] != nil }
    guard ends == [entries.count - 1] else { return "\(ends.count) entries end it" }
    let numbers = entries.dropLast().map { $0["n"].flatMap { Int($0) } }
    guard numbers == Array(1..<entries.count) else { return "its pieces are not numbered from 1 on" }
    return nil
  }

  /// One line; nil when there were none.
  var line: String? {
    guard submitted > 0 else { return nil }
    let parts = ended.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
    let median = medianFirstMilliseconds.map { "; first content after \($0) ms in the median" } ?? ""
    return "\(submitted) users' requests: " + parts.joined(separator: ", ") + median
  }

  /// What does not hold of them.
  var problems: [String] {
    let lost = open.isEmpty ? [] : ["\(open.count) users' requests did not end"]
    return lost + faults.map { "reply of \($0)" }
  }
}
