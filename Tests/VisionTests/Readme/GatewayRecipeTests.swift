import Common
import Foundation
import TestSupport
import Testing

@Suite("The calls in docs/GATEWAY.md, by redis-cli", .timeLimit(.minutes(2)))
struct GatewayRecipeTests {
  @Test("do what stands beside them")
  @IO func calls() async throws {
    let text = try String(contentsOfFile: Project.file("docs/GATEWAY.md"), encoding: .utf8)
    let recipes = Recipe.all(in: text)
    #expect(recipes.map(\.name) == ["tasks", "submit", "wait", "read", "cancel", "status", "usage"])
    try await CommandBench.with { at in
      #expect(try await FunctionLibrary.install(on: at.queue.redis) != .differs)
      func run(_ name: String, _ job: String = "a") async throws -> [String] {
        let recipe = try #require(recipes.first { $0.name == name })
        let outcome = try await recipe.run(at.queue.keys, job: job, as: .gateway)
        #expect(outcome.code == 0, "\(name): \(outcome.errors)")
        return outcome.output.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      }
      let reply = at.queue.keys.reply("a")
      var lines = try await run("tasks")
      #expect(Set(lines) == ["chat", "image", "{}", ""])
      lines = try await run("submit")
      #expect(lines == ["created", reply, ""])
      lines = try await run("submit")
      #expect(lines == ["duplicate", "waiting", reply, ""])
      lines = try await run("wait", "b")
      #expect(lines == ["created", at.queue.keys.reply("b"), "0", ""])
      lines = try await run("status", "b")
      #expect(lines.first == "waiting" && lines.firstIndex(of: "ahead").map { lines[$0 + 1] } == "1")
      let grant = try #require(try await at.bench.claim(organics: 1).grants.first)
      #expect(grant.id == "a" && grant.streams)
      #expect(try await at.queue.append("a", grant.token, [Array("data: {}\n\n".utf8)]) == [:])
      #expect(try await at.queue.settle([at.bench.end(grant)]) == [.ok])
      lines = try await run("read")
      #expect(lines.first == reply && lines.contains("data: {}") && lines.suffix(3) == ["end", "done", ""])
      lines = try await run("cancel")
      #expect(lines == ["done", ""])
      lines = try await run("cancel", "b")
      #expect(lines == ["cancelled", ""])
      lines = try await run("status")
      #expect(lines.first == "done")
      lines = try await run("usage")
      #expect(lines.firstIndex(of: "shop-7|chat|requests").map { lines[$0 + 1] } == "1")
    }
  }
}
