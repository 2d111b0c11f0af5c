import Foundation
import Testing

@testable import Common
@testable import Workers

@Suite("Requests to miners")
struct RequestTests {
  static let tasks: [TaskConfig] = {
    let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().deletingLastPathComponent()
    let files = ["vision.json", "examples/nineteen.json"]
    return files.flatMap { name in
      (try? SubnetConfig(parsing: Data(contentsOf: root.appending(path: name))))?.tasks ?? []
    }
  }()

  /// A user's payload with every field that the task's requests have.
  static func payload(_ task: TaskConfig) -> [UInt8] {
    let query = SyntheticQuery(corpus: .builtIn)
    let job = SyntheticJob(period: PeriodID(startSeconds: 1), task: task.name, miner: 0, number: 0)
    return RequestBuilder.body(task, query.parameters(task, job: job, seed: 99))
  }

  @Test("exist for all tasks of both shipped tables")
  func tables() { #expect(RequestTests.tasks.count == 25) }

  @Test("are valid JSON with the same fields in the same order, whoever asks", arguments: tasks)
  func sameShape(task: TaskConfig) throws {
    let query = SyntheticQuery(corpus: .builtIn)
    var random = SeededRandom(seed: 5)
    var shapes: Set<[String]> = []
    for number in 0..<(task.kind == .text ? 50 : 3) {
      let job = SyntheticJob(period: PeriodID(startSeconds: 7), task: task.name, miner: 1, number: number)
      let synthetic = RequestBuilder.body(task, query.parameters(task, job: job, seed: 1))
      let parameters = try OrganicRequest.parameters(task, payload: synthetic, random: &random)
      let organic = RequestBuilder.body(task, parameters)
      #expect(synthetic == organic, "a user who asks the same is told apart")
      shapes.insert(try keysInOrder(synthetic))
    }
    #expect(shapes.count == 1)
  }

  private func keysInOrder(_ body: [UInt8]) throws -> [String] {
    guard case .object(let members) = try JSON(parsing: Data(body)) else { return [] }
    let text = String(decoding: body, as: UTF8.self)
    return members.keys.sorted { first, second in
      guard let left = text.range(of: "\"\(first)\":"), let right = text.range(of: "\"\(second)\":") else {
        return first < second
      }
      return left.lowerBound < right.lowerBound
    }
  }

  @Test("are built again from the same seed, and no two of a period are alike", arguments: tasks)
  func reproducible(task: TaskConfig) {
    let query = SyntheticQuery(corpus: .builtIn)
    var seen: Set<[UInt8]> = []
    for number in 0..<(task.kind == .text ? 200 : 6) {
      let job = SyntheticJob(period: PeriodID(startSeconds: 7), task: task.name, miner: 3, number: number)
      let body = RequestBuilder.body(task, query.parameters(task, job: job, seed: 1))
      #expect(body == RequestBuilder.body(task, query.parameters(task, job: job, seed: 1)))
      #expect(seen.insert(body).inserted, "query \(number) repeats another one")
    }
  }

  @Test("stay within what the task allows", arguments: tasks)
  func ranges(task: TaskConfig) {
    let query = SyntheticQuery(corpus: .builtIn)
    for number in 0..<(task.kind == .text ? 100 : 4) {
      let job = SyntheticJob(period: PeriodID(startSeconds: 9), task: task.name, miner: 0, number: number)
      let parameters = query.parameters(task, job: job, seed: 4)
      #expect((0..<QueryParameters.seedMax).contains(parameters.seed))
      #expect((0...1).contains(parameters.temperature))
      if let steps = task.steps, task.kind == .image {
        #expect((steps[0]...steps[1]).contains(parameters.steps))
      }
      if task.shape == .chat {
        #expect(parameters.messages.first?.role == "system" && parameters.messages.last?.role == "user")
        #expect((2...10).contains(parameters.messages.count))
      }
    }
  }

  @Test("of users are refused with the field that is wrong")
  func invalid() {
    let chat = RequestTests.tasks.first { $0.shape == .chat }!
    let image = RequestTests.tasks.first { $0.shape == .imageToImage }!
    let cases: [(TaskConfig, String, String)] = [
      (chat, "not json", "payload"), (chat, "[]", "payload"), (chat, "{}", "messages"),
      (chat, #"{"messages":[]}"#, "messages"), (chat, #"{"messages":[{"role":"user"}]}"#, "messages[0]"),
      (chat, #"{"messages":[{"role":"user","content":"x"}],"temperature":9}"#, "temperature"),
      (chat, #"{"messages":[{"role":"user","content":"x"}],"max_tokens":"5"}"#, "max_tokens"),
      (chat, #"{"messages":[{"role":"user","content":"x"}],"seed":1.5}"#, "seed"),
      (image, #"{"prompt":"p"}"#, "init_image"), (image, #"{"init_image":"aa"}"#, "prompt"),
      (image, #"{"prompt":"p","init_image":"aa","steps":10000}"#, "steps"),
    ]
    for (task, payload, field) in cases {
      var random = SeededRandom(seed: 1)
      do throws(OrganicRequest.Invalid) {
        _ = try OrganicRequest.parameters(task, payload: Array(payload.utf8), random: &random)
        Issue.record("accepted: \(payload)")
      } catch {
        #expect(error.field == field, "\(payload)")
      }
    }
  }

  @Test("carry pictures that are whole PNG files")
  func picture() {
    var random = SeededRandom(seed: 8)
    let file = Picture.draw(&random).png()
    #expect(file.prefix(8) == [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
    // The last chunk and its checksum are the same in every PNG file.
    #expect(file.suffix(8) == [0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82])
    #expect(Picture.mask(&random).png().count == file.count)
  }

  @Test("need a corpus that is large enough, and say what is missing")
  func corpus() {
    #expect(throws: Corpus.Invalid.self) { try Corpus(parsing: Array("one sentence".utf8)) }
    let many = (0..<30).map { "Sentence \($0)." }.joined(separator: "\n")
    #expect(throws: Corpus.Invalid.self) { try Corpus(parsing: Array(many.utf8)) }
    #expect(Corpus.builtIn.sentences.count >= 80)
  }
}
