import Common
import Foundation
import Glibc
import TestSupport
import Testing

@Suite("vision submit", .timeLimit(.minutes(2)))
struct SubmitCommandTests {
  private static let pieces = ["Hello", ", world"].map { text in
    Array("data: {\"choices\":[{\"delta\":{\"content\":\"\(text)\"}}]}\n\n".utf8)
  }

  /// Plays the worker for the request that waits next.
  @IO private func serve(_ at: CommandBench, _ state: Settlement.State, last: [(String, String)]) async throws
  {
    try await at.organicWaits()
    let grant = try #require(try await at.bench.claim().grants.first)
    #expect(grant.task == "chat")
    let asked = try JSON(parsing: Data(grant.payload))
    #expect(asked["messages"]?[0]?["content"]?.text == "Say hello")
    #expect(try await at.queue.append(grant.id, grant.token, Self.pieces) == [:])
    let end = at.bench.end(grant)
    let settlement = Settlement(
      id: end.id, token: end.token, state: state, attempts: end.attempts, last: last)
    #expect(try await at.queue.settle([settlement]) == [.ok])
  }

  @Test("prints the answer's text and ends with 0 when it is complete")
  @IO func text() async throws {
    try await CommandBench.with { at in
      async let outcome = at.vision("submit", "--task", "chat", "--id", "u1", "Say hello")
      try await serve(at, .done, last: [("end", "done"), ("completion_tokens", "2")])
      let result = try await outcome
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.output == "Hello, world\n")
      // The id is known now: nothing runs again, and the same answer is there.
      let again = try await at.vision("submit", "--task", "chat", "--id", "u1", "Say hello")
      #expect(again.output == result.output)
      #expect(try await at.bench.claim().grants.isEmpty)
    }
  }

  @Test("prints entries as JSON lines, and ends with 1 when the request failed")
  @IO func failed() async throws {
    try await CommandBench.with { at in
      async let outcome = at.vision("submit", "--task", "chat", "--json", "Say hello")
      try await serve(at, .failed, last: [("end", "failed"), ("error", "no miner")])
      let result = try await outcome
      #expect(result.code == 1)
      let lines = try result.output.split(separator: "\n").map { try JSON(parsing: Data($0.utf8)) }
      #expect(lines.count == 3)
      #expect(lines.first?["n"]?.text == "1")
      #expect(lines.last?["error"]?.text == "no miner")
    }
  }

  @Test("cancels the request when it is interrupted")
  @IO func interrupted() async throws {
    try await CommandBench.with { at in
      let child = try ChildProcess(
        ChildCommand(
          [CommandBench.program.path, "submit", "--task", "chat", "--id", "u2", "Say hello"],
          adding: at.environment()), stdout: .discarded, stderr: .discarded)
      try await at.organicWaits()
      child.signal(SIGINT)
      #expect(await child.waitForExit() == .exited(1))
      #expect(try await at.bench.reply("u2") == [["end": "cancelled"]])
    }
  }

  @Test("cancels the request after the given time, and ends with 1")
  @IO func cancelAfter() async throws {
    try await CommandBench.with { at in
      let result = try await at.vision(
        "submit", "--task", "chat", "--id", "u3", "--cancel-after", "50", "Say hello")
      #expect(result.code == 1 && result.output == "\n[cancelled] \n", "\(result)")
      #expect(try await at.bench.reply("u3") == [["end": "cancelled"]])
    }
  }

  @Test("asks for a whole answer with --no-stream, and prints it as it is")
  @IO func whole() async throws {
    try await CommandBench.with { at in
      async let outcome = at.vision("submit", "--task", "chat", "--no-stream", "Say hello")
      try await at.organicWaits()
      let grant = try #require(try await at.bench.claim().grants.first)
      #expect(!grant.streams)
      let answer = Array(#"{"object":"chat.completion"}"#.utf8)
      #expect(try await at.queue.append(grant.id, grant.token, [answer]) == [:])
      #expect(try await at.queue.settle([at.bench.end(grant)]) == [.ok])
      let result = try await outcome
      #expect(result.code == 0 && result.output == #"{"object":"chat.completion"}"# + "\n")
    }
  }

  @Test("with --wait-replicas goes on only when the replicas have the request, and can wait again")
  @IO func replicas() async throws {
    let master = try PrivateRedis()
    let port = try LoopbackPort.free()
    try await master.start(["--port", String(port)])
    let client = try master.client()
    defer { client.close() }
    let keys = Keys(namespace: "vision")
    _ = try await client.send("HSET", keys.fixed(.tasks), "chat", "{}")
    func submit() async throws -> BuiltProgram.Outcome {
      try await CommandBench.program.run(
        [
          "submit", "--task", "chat", "--id", "r", "--wait-replicas", "1", "--wait-ms", "300",
          "--cancel-after", "10", "Hello",
        ], adding: ["VISION_REDIS_URL": master.url, "VISION_NAMESPACE": "vision"])
    }
    let alone = try await submit()
    #expect(alone.code == 3)
    #expect(
      alone.errors
        == "vision submit: accepted, but 0 of 1 replicas have it after 300 ms: wait for it again with --id r\n"
    )
    let replica = try PrivateRedis()
    try await replica.start(["--replicaof", "127.0.0.1 \(port)", "--repl-diskless-sync-delay", "0"])
    let copy = try replica.client()
    defer { copy.close() }
    for _ in 0..<500 {
      if try await copy.send("EXISTS", keys.job("r")).int == 1 { break }
      await EventLoop.shared.sleep(milliseconds: 20)
    }
    let both = try await submit()
    #expect(both.code == 1 && both.output.contains("[cancelled]"), "\(both)")
    // The cancellation was not waited for by the command. WAIT speaks of its own connection's last write, so
    // there has to be one, after the cancellation.
    _ = try await client.send("SET", "after", "1")
    #expect(try await client.send("WAIT", "1", "5000").int == 1)
    #expect(try await copy.send("HGET", keys.job("r"), "state").text == "cancelled")
    await replica.stop()
    await master.stop()
  }

  @Test("tells why a request is not taken: 2 for what cannot help again, 3 for what can")
  @IO func refused() async throws {
    try await CommandBench.with { at in
      let unknown = try await at.vision("submit", "--task", "chart", "Say hello")
      #expect(unknown.code == 2)
      #expect(unknown.errors == "vision submit: refused: unknown_task; the tasks are chat, image\n")
      let id = try await at.vision("submit", "--task", "chat", "--id", "not good", "Say hello")
      #expect(id.code == 2)
      #expect(id.errors == "vision submit: refused: bad_id\n")
      let prompt = try await at.vision("submit", "--task", "chat")
      #expect(prompt.code == 2)
      #expect(prompt.errors == "vision submit: give a prompt, or a file with --payload\n")
      let task = try await at.vision("submit", "Say hello")
      #expect(task.code == 2)
      #expect(task.errors == "vision submit: task is not set: use --task or VISION_TASK\n")
      _ = try await at.queue.pause("intake", true)
      let paused = try await at.vision("submit", "--task", "chat", "Say hello")
      #expect(paused.code == 3)
      #expect(paused.errors == "vision submit: refused: paused\n")
    }
  }
}
