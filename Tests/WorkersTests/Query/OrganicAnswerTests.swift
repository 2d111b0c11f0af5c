import Foundation
import TestSupport
import Testing

@testable import Common
@testable import Workers

@Suite("What a user gets", .timeLimit(.minutes(2)))
struct OrganicAnswerTests {
  @Test("a stream has OpenAI's shape, and nothing of the miner's but text, role and reason")
  @IO func stream() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      try await bench.withWorker {
        let reply = try await bench.ask("a")
        #expect(reply.fault == nil && reply.last["end"] == "done" && reply.last["status"] == "200")
        #expect(reply.text == "m10.0.0 m10.0.1 m10.0.2 m10.0.3 m10.0.4 ")
        #expect(reply.events.last == "[DONE]")
        let values = try reply.events.dropLast().map { try JSON(parsing: Data($0.utf8)) }
        for value in values {
          #expect(value["id"]?.text == "a" && value["object"]?.text == "chat.completion.chunk")
          #expect(value["model"]?.text == "m" && value["created"]?.int ?? 0 > 1_600_000_000)
          let choice = value["choices"]?[0]
          #expect(
            choice?["logprobs"] == nil && choice?["delta"]?["tool_calls"] == nil && value["usage"] == nil)
        }
        #expect(values.first?["choices"]?[0]?["delta"]?["role"]?.text == "assistant")
        #expect(values.last?["choices"]?[0]?["finish_reason"]?.text == "length")
        #expect(!reply.data.contains("secret"))
        #expect(reply.last["uid"] == "10" && reply.last["completion_tokens"] == "5")
        #expect(reply.last["prompt_tokens"] == "6", "26 characters")
        let record = try #require(try await bench.queue.status(id: "a"))
        #expect(record.fields["completion_tokens"] == "5" && record.fields["status"] == "200")
      }
    }
  }

  @Test("log probabilities and usage are there for whoever asks, and miners are asked the same either way")
  @IO func asked() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      try await bench.withWorker {
        let more = #","seed":7,"logprobs":true,"stream_options":{"include_usage":true}}"#
        let reply = try await bench.ask("a", OrganicBench.payload.dropLast() + more)
        let values = try reply.events.dropLast().map { try JSON(parsing: Data($0.utf8)) }
        let logprobs = values.first?["choices"]?[0]?["logprobs"]?["content"]?[0]
        #expect(logprobs?["token"]?.text == "m10.0.0 " && logprobs?["logprob"]?.double == -0.5)
        #expect(values.last?["usage"]?["completion_tokens"]?.int == 5)
        #expect(values.last?["choices"] == .array([]))
        _ = try await bench.ask("b", OrganicBench.payload.dropLast() + #","seed":7}"#)
        #expect(bench.miners[0].bodies[0] == bench.miners[0].bodies[1])
      }
    }
  }

  @Test("without streaming the answer is one JSON at the end, with usage and what was asked for")
  @IO func whole() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      try await bench.withWorker {
        let reply = try await bench.ask(
          "a", OrganicBench.payload.dropLast() + #","logprobs":true}"#, streams: false)
        #expect(reply.entries.count == 2 && reply.last["end"] == "done")
        let answer = try JSON(parsing: Data(reply.data.utf8))
        #expect(answer["object"]?.text == "chat.completion" && answer["id"]?.text == "a")
        let choice = answer["choices"]?[0]
        #expect(choice?["message"]?["content"]?.text == "m10.0.0 m10.0.1 m10.0.2 m10.0.3 m10.0.4 ")
        #expect(choice?["message"]?["role"]?.text == "assistant")
        #expect(choice?["finish_reason"]?.text == "length")
        #expect(choice?["logprobs"]?["content"]?[4]?["token"]?.text == "m10.0.4 ")
        #expect(answer["usage"]?["total_tokens"]?.int == 11)
        let picture = try await bench.imageReply("p")
        #expect(try JSON(parsing: Data(picture.data.utf8))["image_b64"]?.text == "AAAA")
        #expect(picture.last["end"] == "done" && picture.entries.count == 2)
      }
    }
  }

  @Test("what was not shown yet is asked of another miner, also when the first one failed in mid-answer")
  @IO func wholeFailsOver() async throws {
    try await OrganicBench.run(miners: 2) { bench in
      let first = bench.oneFails(.error(after: 3))
      try await bench.withWorker {
        let reply = try await bench.ask("a", streams: false)
        #expect(reply.last["end"] == "done" && reply.entries.count == 2)
        let answer = try JSON(parsing: Data(reply.data.utf8))
        let text = try #require(answer["choices"]?[0]?["message"]?["content"]?.text)
        #expect(text.split(separator: " ").count == 5 && !text.hasPrefix("m\(first()).0"))
        #expect(try await bench.outcomes("a") == [.serverError, .ok])
        bench.oneFails(.halfPicture, otherwise: .picture)
        let picture = try await bench.ask("p", #"{"prompt":"a lighthouse"}"#, task: OrganicBench.image)
        #expect(picture.last["end"] == "done" && picture.entries.count == 2)
        #expect(try await bench.outcomes("p") == [.truncated, .ok])
      }
    }
  }

  @Test("past its byte cap a reply ends with too_large, and the miner is not to blame")
  @IO func cap() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      bench.miners[0].paceMilliseconds = 2
      bench.miners[0].act = { _ in .answer(500) }
      try await bench.withWorker(["--reply-bytes-max", "2000"]) {
        let reply = try await bench.ask("a")
        #expect(reply.last["end"] == "too_large" && reply.fault == nil)
        #expect(reply.data.utf8.count <= 2_000 && reply.data.utf8.count > 1_000)
        #expect(try await bench.outcomes("a") == [.interrupted])
        try await bench.until("the miner's socket is closed") { bench.miners[0].open == 0 }
      }
    }
  }

  @Test("usage stands by account and task for good, whatever became of the reply")
  @IO func usage() async throws {
    try await OrganicBench.run(miners: 1) { bench in
      bench.miners[0].act = { $0 == 1 ? .error(after: 2) : .answer(4) }
      try await bench.withWorker {
        _ = try await bench.ask("a")
        let broken = try await bench.ask("b")
        #expect(broken.last["completion_tokens"] == "2" && broken.last["end"] == "error")
        _ = try await bench.queue.redis.send("DEL", bench.queue.keys.reply("a"), bench.queue.keys.job("a"))
        let usage = try await bench.queue.redis.send("HGETALL", bench.queue.keys.fixed(.usage)).fields
        #expect(
          usage == ["me|chat|requests": "2", "me|chat|prompt_tokens": "12", "me|chat|completion_tokens": "6"])
      }
    }
  }
}

extension OrganicBench {
  /// A picture from miners that draw.
  func imageReply(_ id: String) async throws -> UserReply {
    for miner in miners { miner.act = { _ in .picture } }
    return try await ask(id, #"{"prompt":"a lighthouse"}"#, task: OrganicBench.image)
  }

  /// The miner that is asked first, whichever it is, does `act` once; all else does `otherwise`. Returns a
  /// function that tells the uid of that miner.
  @discardableResult
  func oneFails(_ act: ScriptedMiner.Act, otherwise: ScriptedMiner.Act = .answer(5)) -> () -> Int {
    final class First {
      var uid: Int?
    }
    let first = First()
    for miner in miners {
      miner.act = { [uid = miner.uid] _ in
        guard first.uid == nil else { return otherwise }
        first.uid = uid
        return act
      }
    }
    return { first.uid ?? -1 }
  }
}
