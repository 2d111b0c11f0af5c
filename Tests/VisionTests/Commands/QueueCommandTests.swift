import Common
import Foundation
import TestSupport
import Testing

@Suite("The commands that change the queue", .timeLimit(.minutes(2)))
struct QueueCommandTests {
  @Test("pause stops a class of work, resume starts it, and both say when nothing changed")
  @IO func pause() async throws {
    try await CommandBench.with { at in
      try await at.bench.submit("a")
      let paused = try await at.vision("pause", "organic")
      #expect(paused.code == 0)
      #expect(paused.output == "organic is paused now\n")
      #expect(try await at.bench.claim().grants.isEmpty)
      #expect(try await at.vision("pause", "organic").output == "organic was paused already\n")
      #expect(try await at.vision("resume", "organic").output == "organic is running now\n")
      #expect(try await at.bench.claim().grants.map(\.id) == ["a"])
      #expect(try await at.vision("resume", "organic").output == "organic was running already\n")
    }
  }

  @Test("pause takes the four classes only")
  @IO func wrongClass() async throws {
    try await CommandBench.with { at in
      let wrong = try await at.vision("pause", "organics")
      #expect(wrong.code == 2)
      #expect(
        wrong.errors
          == "vision pause: unknown class 'organics'; one of organic, synthetic, check, intake\n")
      let missing = try await at.vision("pause")
      #expect(missing.code == 2)
      #expect(missing.errors == "vision pause: <class> is missing\n")
      #expect(try await at.queue.redis.send("EXISTS", at.queue.keys.fixed(.paused)).int == 0)
    }
  }

  @Test("cancel ends a request that waits or runs, and says what became of any other")
  @IO func cancel() async throws {
    try await CommandBench.with { at in
      try await at.bench.submit("a", "b")
      #expect(try await at.bench.claim(organics: 1).grants.map(\.id) == ["a"])
      for id in ["a", "b"] {
        let outcome = try await at.vision("cancel", id)
        #expect(outcome.code == 0)
        #expect(outcome.output == "\(id) is cancelled\n")
        #expect(try await at.bench.reply(id) == [["end": "cancelled"]])
      }
      // Whoever repeats a cancellation got what was wanted.
      #expect(try await at.vision("cancel", "a").code == 0)
      try await at.bench.submit("c")
      let grant = try #require(try await at.bench.claim().grants.first)
      #expect(try await at.queue.settle([at.bench.end(grant)]) == [.ok])
      let late = try await at.vision("cancel", "c")
      #expect(late.code == 1)
      #expect(late.errors == "vision cancel: c had ended already: done\n")
      let unknown = try await at.vision("cancel", "nobody")
      #expect(unknown.code == 1)
      #expect(unknown.errors == "vision cancel: there is no request nobody\n")
    }
  }

  @Test("dead lists what was given up with its reason, gives it another life, or drops it")
  @IO func dead() async throws {
    try await CommandBench.with { at in
      #expect(try await at.vision("dead").output == "no dead jobs\n")
      for id in ["a", "b"] {
        try await at.bench.submit(id)
        try await at.giveUpFirst()
      }
      let list = try await at.vision("dead", "list")
      let lines = list.output.split(separator: "\n")
      #expect(list.code == 0)
      #expect(lines.count == 2)
      #expect(lines.first?.hasSuffix(" b organic chat left behind by 3 workers that died") == true)
      #expect(lines.last?.contains(" a organic chat ") == true)
      #expect(try await at.vision("dead", "--limit", "1").output.split(separator: "\n").count == 1)

      #expect(try await at.vision("dead", "retry", "a").output == "a is retried\n")
      #expect(try await at.bench.field("a", "state") == "waiting")
      #expect(try await at.vision("dead", "drop", "b").output == "b is dropped\n")
      #expect(try await at.bench.claim().grants.map(\.id) == ["a"])
      let gone = try await at.vision("dead", "drop", "b")
      #expect(gone.code == 1)
      #expect(gone.errors == "vision dead: b is not among the dead jobs\n")
    }
  }

  @Test("dead does not revive a planned query, which its period has counted")
  @IO func deadQuery() async throws {
    try await CommandBench.with { at in
      _ = try await at.bench.plan(counts: [[1]])
      try await at.giveUpFirst(synthetics: 1)
      let id = try #require(
        try await at.queue.redis.send("ZRANGE", at.queue.keys.fixed(.dead), "0", "0")[0]?.text)
      let outcome = try await at.vision("dead", "retry", id)
      #expect(outcome.code == 1)
      #expect(outcome.errors.contains("cannot run again; drop it"))
    }
  }

  @Test(
    "dead takes list, retry and drop only",
    arguments: [["retry"], ["drop"], ["list", "a"], ["revive", "a"]])
  @IO func wrongAction(words: [String]) async throws {
    let outcome = try await CommandBench.program.run(["dead"] + words)
    #expect(outcome.code == 2)
    #expect(outcome.errors.hasPrefix("vision dead: use: vision dead list"))
  }

  @Test("fsck finds nothing in a sound queue, names what is wrong in another, and repairs it when asked to")
  @IO func fsck() async throws {
    try await CommandBench.with { at in
      try await at.bench.submit("a")
      let sound = try await at.vision("fsck", "--no-live")
      #expect(sound.code == 0, "\(sound.output)")
      try await at.bench.send("ZADD", .organic, "99", "ghost")
      let broken = try await at.vision("fsck", "--no-live")
      #expect(broken.code == 1)
      #expect(broken.output.contains("no_record ghost"))
      let repaired = try await at.vision("fsck", "--no-live", "--repair")
      #expect(repaired.code == 0, "\(repaired.output)")
      #expect(repaired.output.hasPrefix("repaired ghost: given up: its record was lost\n"))
      #expect(try await at.bench.reply("ghost").last?["end"] == "dead")
      #expect(try await at.vision("fsck", "--no-live").code == 0)
    }
  }
}
