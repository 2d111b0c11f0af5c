import Common
import Foundation

/// `vision submit`: pushes a user's request and prints the answer as it comes.
enum SubmitCommand {
  static let entry = VisionCommand.Entry(
    name: "submit", about: "Send a request as a user would, and print the answer as it comes.",
    settings: Connection.settings + [
      Setting("task", .string(maxBytes: 64), isRequired: true, help: "The task to ask."),
      Setting(
        "id", .string(maxBytes: 64),
        help: "The request's id; drawn when it is not given. With a known id the known reply is printed."),
      Setting("payload", .path, help: "A file with the JSON payload, instead of a prompt."),
      Setting("account", .string(maxBytes: 64), default: "", help: "Whom the usage is counted for."),
      Setting(
        "deadline-ms", .milliseconds(0...3_600_000), default: "0",
        help: "Time until the answer must be complete; 0 for no limit."),
      Setting(
        "stream", .boolean, default: "true",
        help: "The answer as it comes; with false one JSON at its end."),
      Setting(
        "cancel-after", .milliseconds(0...3_600_000), help: "Cancel the request after this time, in ms."),
      Setting(
        "wait-replicas", .integer(0...100), default: "0",
        help: "Replicas of Redis that must have the request before its answer is waited for."),
      Setting(
        "wait-ms", .milliseconds(1...60_000), default: "1000", help: "How long to wait for replicas."),
      Setting("json", .boolean, default: "false", help: "Print the reply's entries as JSON lines."),
    ],
    positionals: [.init("prompt", help: "What to ask.", isOptional: true)], work: run)

  /// Most submits of one request when connections are lost while replicas are waited for.
  private static let submitsMax = 10

  @IO private static func run(_ context: ServiceContext) async throws -> ExitCode {
    let settings = context.settings
    let payload = try payload(settings)
    // Apart from the queue's, since a wait for the reply would hold up a cancellation.
    let reader = try Connection.client(settings)
    defer { reader.close() }
    let id = settings.stringIfSet("id") ?? "cli-" + String(UInt64.random(in: 0 ... .max), radix: 36)
    return try await Connection.withQueue(settings) { queue in
      try await submit(settings, queue, id: id, payload)
      let cancel: @IO () -> Void = { IO.task { @IO in _ = try? await queue.cancel(id: id) } }
      let timer = settings.intIfSet("cancel-after").map {
        EventLoop.shared.after(milliseconds: $0, cancel)
      }
      let watch = context.stopping.onFire(cancel)
      defer {
        timer?.cancel()
        context.stopping.forget(watch)
      }
      return try await follow(queue.keys.reply(id), reader, asJSON: settings.bool("json"))
    }
  }

  /// Why a request was not taken. A full or paused queue takes it later; the rest is the caller's mistake.
  @IO private static func failure(
    _ refusal: Refusal, _ queue: JobQueue
  ) async throws -> Connection.Failure {
    switch refusal.reason {
    case "unknown_task":
      let known = try await queue.redis.send("HKEYS", queue.keys.fixed(.tasks)).elements ?? []
      let names = known.compactMap(\.text).sorted().joined(separator: ", ")
      let hint = names.isEmpty ? "no producer published tasks yet" : "the tasks are \(names)"
      return .init(description: "refused: unknown_task; \(hint)", exitCode: .usage)
    default:
      return .init(
        description: "refused: \(refusal)", exitCode: refusal.isPassing ? .unavailable : .usage)
    }
  }

  /// Submits, and waits until enough replicas have the request. After a lost connection both are done again:
  /// the next server may be another one, which has the request only if it was replicated in time.
  @IO private static func submit(
    _ settings: Settings, _ queue: JobQueue, id: String, _ payload: [UInt8]
  ) async throws {
    let (wanted, limit) = (settings.int("wait-replicas"), settings.int("wait-ms"))
    for _ in 0..<submitsMax {
      let result = try await queue.submit(
        id: id, task: settings.string("task"), payload: payload, account: settings.string("account"),
        allowedMilliseconds: settings.int("deadline-ms"), streams: settings.bool("stream"))
      if case .refused(let refusal) = result { throw try await failure(refusal, queue) }
      let submitted = queue.redis.connectionCount
      guard wanted > 0 else { return }
      let confirmed = try await queue.waitForReplicas(wanted, since: submitted, limitMilliseconds: limit)
      guard let count = confirmed else { continue }
      if count >= wanted { return }
      throw Connection.Failure(
        description: "accepted, but \(count) of \(wanted) replicas have it after \(limit) ms:"
          + " wait for it again with --id \(id)", exitCode: .unavailable)
    }
    throw Connection.Failure(
      description: "the connection to Redis was lost \(submitsMax) times: submit again with --id \(id)",
      exitCode: .unavailable)
  }

  private static func payload(_ settings: Settings) throws -> [UInt8] {
    if let path = settings.stringIfSet("payload") {
      guard let data = FileManager.default.contents(atPath: path) else {
        throw Connection.Failure(description: "the payload file \(path) cannot be read", exitCode: .usage)
      }
      return Array(data)
    }
    guard let prompt = settings.arguments.first, !prompt.isEmpty else {
      throw Connection.Failure(description: "give a prompt, or a file with --payload", exitCode: .usage)
    }
    var json = JSONWriter()
    json.beginObject()
    json.member("prompt", prompt)
    json.key("messages")
    json.beginArray()
    json.beginObject()
    json.member("role", "user")
    json.member("content", prompt)
    json.endObject()
    json.endArray()
    json.endObject()
    return json.bytes
  }

  /// Reads the reply from its beginning to its terminal entry.
  @IO private static func follow(
    _ stream: String, _ reader: RedisClient, asJSON: Bool
  ) async throws -> ExitCode {
    var after = "0"
    while true {
      let reply = try await reader.send(
        "XREAD", "COUNT", "100", "BLOCK", "2000", "STREAMS", stream, after)
      for entry in reply[0]?[1]?.elements ?? [] {
        guard let key = entry[0]?.text, let fields = entry[1]?.fields else { continue }
        after = key
        if asJSON {
          print(JSON.object(fields.mapValues { .string($0) }).canonicalText())
        } else if let data = fields["data"] {
          print(text(of: data), terminator: "")
        }
        if let end = fields["end"] {
          if !asJSON { print(end == "done" ? "" : "\n[\(end)] \(fields["error"] ?? "")") }
          return end == "done" ? .ok : .failed
        }
      }
      flushOutput()
    }
  }

  /// The text of a piece of server-sent events; a piece of another form as it is.
  private static func text(of piece: String) -> String {
    guard piece.hasPrefix("data: ") else { return piece }
    var result = ""
    for line in piece.split(separator: "\n") where line.hasPrefix("data: {") {
      let (chunk, text) = ChatChunk.scan(Array(line.dropFirst(6).utf8))
      if chunk.kind == .content { result += text }
    }
    return result
  }
}

/// Makes what was printed visible at once.
func flushOutput() { fflush(nil) }
