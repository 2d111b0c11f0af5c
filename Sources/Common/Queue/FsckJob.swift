/// All that the `inspect` script tells of one job, seen at one moment.
struct FsckJob {
  var id: String
  var state: String
  var kind: JobKind?
  var task: String
  var hasToken: Bool
  /// Whether the record has a life limit.
  var hasLife: Bool
  /// Where the job stands.
  var places: [String]
  var hasDeadline: Bool
  var hasPayload: Bool
  var hasAnswer: Bool
  /// Bytes of the answer, as recorded.
  var size: Int
  /// Bytes that the dead list counts for it.
  var kept: Int
  var hasReplyEnded: Bool
  var hasReply: Bool
  /// The Redis type of the record, `none` without one.
  var type: String

  private static let placeNames = ["organic", "", "due", "lease", "dead", "lane"]
  static let finished: Set<String> = ["done", "failed", "interrupted", "expired", "cancelled", "dead"]

  /// Reads one element of the script's reply; nil when it has another shape.
  init?(id: String, _ reply: RedisReply) {
    guard let items = reply.elements, items.count == 18 else { return nil }
    let texts = items.map { $0.text ?? "" }
    self.id = id
    state = texts[0]
    kind = JobKind(rawValue: texts[1])
    task = texts[2]
    hasToken = !texts[3].isEmpty
    hasLife = texts[4] == "1"
    places = zip(FsckJob.placeNames, texts[5...10]).filter { !$0.isEmpty && !$1.isEmpty }.map(\.0)
    hasDeadline = !texts[6].isEmpty
    hasPayload = texts[11] == "1"
    hasAnswer = texts[12] == "1"
    size = Int(texts[13]) ?? 0
    kept = Int(texts[14]) ?? 0
    hasReplyEnded = texts[15] == "1"
    hasReply = texts[16] == "1"
    type = texts[17]
  }

  /// Adds what is wrong with the job.
  func check(_ report: inout FsckReport) {
    switch type {
    case "none": checkWithoutRecord(&report)
    case "hash": checkRecord(&report)
    default: report.add(.damaged, job: id, "its record is a \(type)")
    }
  }

  /// A planned query has no record until it is claimed; anything else must have one.
  private func checkWithoutRecord(_ report: inout FsckReport) {
    if places == ["due"] {
      if SyntheticJob(id: id) == nil { report.add(.damaged, job: id, "is due and names no planned query") }
    } else if !places.isEmpty {
      report.add(.noRecord, job: id, "stands in \(places.joined(separator: ", "))")
    }
    if hasPayload || hasAnswer { report.add(.noRecord, job: id, "its body was left behind") }
    if hasReply && !hasReplyEnded { report.add(.noRecord, job: id, "its reply did not end") }
    if hasDeadline { report.add(.noRecord, job: id, "its deadline was left behind") }
  }

  private func checkRecord(_ report: inout FsckReport) {
    guard let kind, let expected = place(kind) else {
      report.add(.damaged, job: id, "is a '\(self.kind?.rawValue ?? "")' in state '\(state)'")
      return
    }
    if places != expected {
      report.add(.misplaced, job: id, "\(state), and stands in [\(places.joined(separator: ", "))]")
    }
    if state == "running" && !hasToken { report.add(.noToken, job: id, "runs without a token") }
    if hasLife != expected.isEmpty {
      report.add(
        .lifetime, job: id, hasLife ? "\(state), and will vanish" : "\(state), and will stay for ever")
    }
    if hasDeadline && (kind != .organic || state != "waiting") {
      report.add(.deadline, job: id, "\(state), and has a deadline for its start")
    }
    let keepsBody = !expected.isEmpty
    if hasPayload != (kind == .organic && keepsBody) {
      report.add(
        .body, job: id, hasPayload ? "\(state), and keeps its request" : "\(state), without a request")
    }
    if hasAnswer != (kind == .check && keepsBody) {
      report.add(.body, job: id, hasAnswer ? "\(state), and keeps an answer" : "\(state), without an answer")
    }
    checkReply(kind, &report)
  }

  private func checkReply(_ kind: JobKind, _ report: inout FsckReport) {
    guard kind == .organic else {
      if hasReply { report.add(.reply, job: id, "a \(kind.rawValue) job has a reply") }
      return
    }
    let isFinished = FsckJob.finished.contains(state)
    if hasReply && hasReplyEnded != isFinished {
      report.add(.reply, job: id, isFinished ? "\(state), without an end" : "\(state), and its reply ended")
    }
    // The reply of a job that was given up can be gone before its record.
    if isFinished && !hasReply && state != "dead" { report.add(.reply, job: id, "\(state), without a reply") }
  }

  /// Where a job of this kind must stand in its state; empty for a record that is only remembered.
  private func place(_ kind: JobKind) -> [String]? {
    switch (state, kind) {
    case ("waiting", .organic): return ["organic"]
    case ("waiting", .synthetic): return ["due"]
    case ("waiting", .check): return ["lane"]
    case ("running", _): return ["lease"]
    case ("dead", .organic) where hasLife: return []
    case ("dead", _): return ["dead"]
    case ("done", .organic), ("failed", .organic), ("interrupted", .organic), ("expired", .organic),
      ("cancelled", .organic):
      return []
    default: return nil
    }
  }
}

extension JobQueue {
  /// Where up to 100 jobs stand.
  func inspect(_ ids: ArraySlice<String>) async throws(RedisError) -> [FsckJob] {
    let reply = try await run(.inspect) { $0.add(list: Array(ids)) }
    let jobs = zip(ids, reply.elements ?? []).compactMap { FsckJob(id: $0, $1) }
    guard jobs.count == ids.count else { throw unexpected(.inspect, reply) }
    return jobs
  }
}
