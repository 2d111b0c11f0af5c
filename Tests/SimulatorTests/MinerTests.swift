import Foundation
import Testing

@testable import Common
@testable import Simulator

@Suite("A simulated miner")
struct MinerTests {
  private static let body = Fixture.chat().canonicalText()
  private static let rightWords = ReferenceModel.tokens(for: Fixture.chat()).map {
    Vocabulary.tokens[$0.index]
  }

  private static func answer(_ miner: MinerBehaviour, readAtMost: Int = .max) async throws -> Reply {
    try await Fixture.serving(miner) { client in
      await client.send("POST", "/chat/completions", body, readAtMost: readAtMost)
    }
  }

  @Test("that is honest streams the right tokens, one per event, each with its probability")
  func honest() async throws {
    let reply = try await MinerTests.answer(Fixture.miner())
    #expect(reply.status == 200 && reply.isComplete)
    #expect(reply.head.contains("content-type: text/event-stream"))
    #expect(reply.words == MinerTests.rightWords)
    for event in reply.events {
      let token = event["choices"]?[0]?["logprobs"]?["content"]?[0]
      #expect(token?["token"]?.text == event["choices"]?[0]?["delta"]?["content"]?.text)
      #expect((token?["logprob"]?.double ?? 1) <= 0)
      #expect(event["object"]?.text == "chat.completion.chunk" && event["model"]?.text == "chat-llama-3")
    }
  }

  @Test("answers a completion with text chunks")
  func completion() async throws {
    let payload: JSON = .object([
      "prompt": .string("Once"), "seed": .integer(1), "max_tokens": .integer(20),
      "model": .string("chat-llama-3-comp"),
    ])
    let reply = try await Fixture.serving(Fixture.miner()) { client in
      await client.send("POST", "/completions", payload.canonicalText())
    }
    let words = reply.events.compactMap { $0["choices"]?[0]?["text"]?.text }
    #expect(words == ReferenceModel.tokens(for: payload).map { Vocabulary.tokens[$0.index] })
    #expect(reply.events[0]["choices"]?[0]?["logprobs"]?["tokens"]?[0]?.text == words[0])
  }

  @Test("answers equal requests with equal bytes, and others with others")
  func determinism() async throws {
    let miner = Fixture.miner(quality: 0.5)
    let first = try await MinerTests.answer(miner)
    let second = try await MinerTests.answer(miner)
    #expect(first.body == second.body)
    let other = try await MinerTests.answer(Fixture.miner(quality: 0.5, seed: 8))
    #expect(first.words != other.words)
    #expect(first.words.count == other.words.count)
  }

  @Test("gets as many tokens right as its quality says", arguments: [0.0, 0.3, 0.9, 1])
  func quality(quality: Double) {
    let right = ReferenceModel.tokens(for: Fixture.chat(maxTokens: 8000))
    var random = SeededRandom(seed: 3)
    let given = ReferenceModel.degraded(right, quality: quality, using: &random)
    let share = Double(zip(right, given).filter { $0.index == $1.index }.count) / Double(right.count)
    #expect(abs(share - quality) < 0.03)
  }

  @Test("takes the time that its hardware needs")
  func pace() async throws {
    let reply = try await MinerTests.answer(Fixture.miner(tokensPerSecond: 100))
    #expect(reply.words.count >= 20 && reply.milliseconds >= (reply.words.count - 1) * 10)
  }

  @Test("frames its stream as its dialect says")
  func dialect() async throws {
    let dialect = StreamDialect(framesWithEmptyChunks: true, sendsDone: true)
    let reply = try await MinerTests.answer(Fixture.miner(dialect: dialect))
    #expect(reply.words == [""] + MinerTests.rightWords + [""])
    #expect(reply.events.first?["choices"]?[0]?["logprobs"] == .null)
    #expect(reply.events[reply.events.count - 2]["choices"]?[0]?["finish_reason"]?.text == "stop")
    #expect(reply.events.last == .string("[DONE]"))
    let bare = try await MinerTests.answer(Fixture.miner())
    #expect(bare.events.last != .string("[DONE]"))
  }

  @Test("may cut its writes inside a character, and loses nothing by it")
  func splitCharacters() async throws {
    let dialect = StreamDialect(splitsCharacters: true)
    let reply = try await MinerTests.answer(Fixture.miner(dialect: dialect))
    #expect(reply.words == MinerTests.rightWords)
    #expect(reply.chunks.contains { String(bytes: $0, encoding: .utf8) == nil })
  }

  @Test("that truncates closes in the middle of a stream and of a picture")
  func truncates() async throws {
    let reply = try await MinerTests.answer(Fixture.miner(.truncates))
    #expect(!reply.isComplete && reply.words == Array(MinerTests.rightWords.prefix(reply.words.count)))
    #expect(reply.words.count == MinerTests.rightWords.count / 2)
    let picture = try await Fixture.serving(Fixture.miner(.truncates)) { client in
      await client.send("POST", "/text-to-image", Fixture.picture().canonicalText())
    }
    #expect(picture.status == 200 && !picture.isComplete && !picture.body.isEmpty)
  }

  @Test("that stalls sends a third and then nothing")
  func stalls() async throws {
    let miner = Fixture.miner(.stalls)
    let reply = try await Fixture.serving(miner) { client in
      var client = client
      client.readTimeoutSeconds = 1
      return await client.send("POST", "/chat/completions", MinerTests.body)
    }
    // A slow machine may show less in that second, never more.
    let third = MinerTests.rightWords.count / 3
    #expect(!reply.isComplete && reply.words.count <= third && reply.milliseconds >= 1000)
    let task = Fixture.subnet.tasks[0]
    let hardware = try #require(miner.hardware[task.name])
    let answer = MinerAnswer.make(
      for: miner, task: task, hardware: hardware, body: [], payload: Fixture.chat())
    guard case .stream(let plan) = answer else { throw CancellationError() }
    #expect(plan.ending == .stalls && plan.tokens.count == third)
  }

  @Test("that drips sends a token a second")
  func drip() async throws {
    let reply = try await Fixture.serving(Fixture.miner(.slowDrip)) { client in
      await client.send("POST", "/chat/completions", MinerTests.body, readAtMost: 400)
    }
    let words = reply.words.count
    #expect(words >= 2 && reply.milliseconds >= (words - 1) * 1000)
  }

  @Test("that refuses takes no connection, and keeps its port")
  func refuses() async throws {
    let reply = try await MinerTests.answer(Fixture.miner(.refuses))
    #expect(reply.status == 0)
  }

  @Test("that sends garbage is wrong in one of three ways")
  func garbage() async throws {
    let payloads = (0..<30).map { Fixture.chat(seed: $0, maxTokens: 8) }
    let replies = try await Fixture.serving(Fixture.miner(.garbage)) { client in
      var replies: [Reply] = []
      for payload in payloads {
        replies.append(await client.send("POST", "/chat/completions", payload.canonicalText()))
      }
      return replies
    }
    var (pages, broken) = (0, 0)
    for (payload, reply) in zip(payloads, replies) {
      if reply.head.contains("text/html") { pages += 1 }
      if reply.events.contains(where: { $0.text != nil }) { broken += 1 }
      let right = ReferenceModel.tokens(for: payload).map { Vocabulary.tokens[$0.index] }
      #expect(zip(right, reply.words).allSatisfy { $0 != $1 })
    }
    #expect(pages > 0 && broken > 0 && pages + broken < 30)
  }

  @Test("that reports its errors in band does so after a third of the tokens")
  func inBandError() async throws {
    let reply = try await MinerTests.answer(Fixture.miner(.inBandError))
    #expect(reply.status == 200 && reply.isComplete)
    #expect(reply.words.count == MinerTests.rightWords.count / 3)
    #expect(reply.events.last?["error"]?["code"]?.int == 500)
  }

  @Test("that hides its probabilities sends null for them")
  func noLogprobs() async throws {
    let reply = try await MinerTests.answer(Fixture.miner(.noLogprobs))
    #expect(reply.words == MinerTests.rightWords)
    #expect(reply.events.allSatisfy { $0["choices"]?[0]?["logprobs"] == .null })
  }

  @Test(
    "that always fails says so by its status",
    arguments: [(BehaviourKind.alwaysRateLimited, 429), (.serverErrors, 500)])
  func statuses(kind: BehaviourKind, status: Int) async throws {
    let reply = try await MinerTests.answer(Fixture.miner(kind))
    #expect(reply.status == status && reply.isComplete)
  }

  @Test("shows its fault in the stated share of its answers")
  func faultShare() {
    var miner = Fixture.miner(.serverErrors)
    miner.faultShare = 0.25
    let task = Fixture.subnet.tasks[0]
    let hardware = miner.hardware[task.name]
    let failures = (0..<2000).filter { seed in
      let payload = Fixture.chat(seed: seed, maxTokens: 2)
      guard let hardware else { return false }
      let answer = MinerAnswer.make(
        for: miner, task: task, hardware: hardware, body: Array(payload.canonicalText().utf8),
        payload: payload)
      if case .whole(let whole) = answer { return whole.status == 500 }
      return false
    }
    #expect(abs(failures.count - 500) < 100)
  }

  @Test("answers pictures and embeddings as JSON, with a PNG that can be read back")
  func pictures() async throws {
    let (picture, embeddings) = try await Fixture.serving(Fixture.miner()) { client in
      let clip: JSON = .object([
        "image_b64s": .array([.string("QUJD"), .string("REVG")]), "model": .string("clip-image-embeddings"),
      ])
      return (
        await client.send("POST", "/text-to-image", Fixture.picture().canonicalText()),
        await client.send("POST", "/clip-embeddings", clip.canonicalText())
      )
    }
    let bytes = try #require(Data(base64Encoded: picture.json?["image_b64"]?.text ?? ""))
    let pixels = Picture.pixels(png: Array(bytes), side: ReferenceModel.imageSide)
    #expect(pixels == ReferenceModel.pixels(for: Fixture.picture()))
    #expect(picture.json?["is_nsfw"]?.flag == false)
    #expect(picture.json?["image_hashes"]?["color_hash"]?.text != nil)
    #expect(embeddings.json?["clip_embeddings"]?[1]?[ReferenceModel.embeddingLength - 1]?.double != nil)
    #expect(embeddings.json?["clip_embeddings"]?[2] == nil)
  }

  @Test("needs the time of its steps for a picture")
  func pictureTime() async throws {
    let reply = try await Fixture.serving(Fixture.miner(tokensPerSecond: 20)) { client in
      await client.send("POST", "/text-to-image", Fixture.picture(steps: 6).canonicalText())
    }
    #expect(reply.milliseconds >= 300)
  }

  @Test("claims what it was asked about, and what it is not, by its factor")
  func claims() async throws {
    let question = #"{"task_configs":[{"task":"chat-llama-3"},{"name":"avatar"},{"task":"other"}]}"#
    var typed = Fixture.miner(.claimsFivefold, volumePerSecond: 2)
    typed.minerType = "text"
    let reply = try await Fixture.serving(typed) { await $0.send("POST", "/capacity", question) }
    let claims = try #require(reply.json)
    #expect(claims["miner_type"]?.text == "text")
    #expect(claims["chat-llama-3"]?.double == 36_000 && claims["avatar"]?.double == 36_000)
    #expect(claims["other"] == nil && claims["inpaint"] == nil)
    let honest = try await Fixture.serving(Fixture.miner(volumePerSecond: 2)) {
      await $0.send("POST", "/capacity", "{}")
    }
    #expect(honest.json?["chat-llama-3"]?.double == 7200 && honest.json?["miner_type"] == nil)
    #expect(honest.json?["inpaint"]?.double == 7200)
  }
}
