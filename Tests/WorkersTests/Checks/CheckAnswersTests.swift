import Testing

@testable import Common
@testable import Workers

@Suite("What a checking server says")
struct CheckAnswersTests {
  static func post(_ status: Int, _ text: String) -> PostAnswer {
    PostAnswer(status: status, body: Array(text.utf8))
  }

  static func poll(_ status: Int, _ text: String) -> PollAnswer {
    PollAnswer(status: status, body: Array(text.utf8), remoteID: "id-1", nodeKey: "12")
  }

  static func success(_ scores: String) -> PollAnswer {
    poll(
      200,
      #"{"task_id":"id-1","result":{"node_scores":\#(scores),"timestamp":"2025-08-20T10:11:12.123456","#
        + #""error_message":null,"traceback":null},"status":"Success"}"#)
  }

  @Test("a post is taken, refused, or meets a busy server whose name for a check is thrown away")
  func posts() {
    #expect(Self.post(200, #"{"task_id":"a-1","status":"Processing"}"#) == .accepted(remoteID: "a-1"))
    #expect(Self.post(200, #"{"task_id":"a-1","status":"Busy"}"#) == .busy)
    guard case .refused(let detail) = Self.post(422, #"{"detail":[{"type":"missing"}]}"#) else {
      Issue.record("422 is no refusal")
      return
    }
    #expect(detail.contains("missing"))
    for (status, text) in [
      (200, "{}"), (200, "nonsense"), (200, #"{"task_id":"../x","status":"Processing"}"#),
      (200, #"{"task_id":null,"status":"Processing"}"#), (200, #"{"task_id":"a","status":"Success"}"#),
      (500, ""), (404, ""), (302, ""), (429, ""),
    ] {
      guard case .broken = Self.post(status, text) else {
        Issue.record("\(status) \(text) is of use")
        continue
      }
    }
  }

  @Test("a score is a number from -10 to 1 under the node that was sent")
  func scores() {
    #expect(Self.success(#"{"12":0.97}"#) == .judged(0.97))
    #expect(Self.success(#"{"12":1}"#) == .judged(1))
    #expect(Self.success(#"{"12":-10}"#) == .judged(-10))
  }

  @Test(
    "no score, or one that cannot be, is no verdict",
    arguments: [
      "{}", "null", #"{"12":null}"#, #"{"12":NaN}"#, #"{"12":Infinity}"#, #"{"12":-Infinity}"#,
      #"{"12":1.01}"#, #"{"12":-10.5}"#, #"{"12":"1.0"}"#, #"{"12":true}"#, #"{"12":1e308}"#,
    ])
  func noScore(scores: String) {
    guard case .unjudged = Self.success(scores) else {
      Issue.record("\(scores) is \(Self.success(scores))")
      return
    }
  }

  @Test(
    "another node's score, or another check's, is never ours",
    arguments: [#"{"13":1}"#, #"{"12":1,"13":1}"#, #"{"None":1}"#, #"{" 12":1}"#])
  func foreign(scores: String) {
    guard case .foreign = Self.success(scores) else {
      Issue.record("\(scores) is \(Self.success(scores))")
      return
    }
    let other = #"{"task_id":"id-2","result":{"node_scores":{"12":1}},"status":"Success"}"#
    guard case .foreign = Self.poll(200, other) else {
      Issue.record("another check's verdict is ours")
      return
    }
  }

  @Test("a check that runs, is not known, or made the checker fail")
  func others() {
    #expect(Self.poll(200, #"{"task_id":"id-1","result":null,"status":"Processing"}"#) == .processing)
    #expect(Self.poll(404, #"{"detail":"Task not found (or Task result got expired)"}"#) == .gone)
    for (trace, expected) in [("null", "the checker failed: "), (#""boom""#, "the checker failed: boom")] {
      let text = #"{"task_id":"id-1","result":{"node_scores":null,"timestamp":"","error_message":null,"#
      #expect(Self.poll(200, text + #""traceback":\#(trace)},"status":"Failed"}"#) == .crashed(expected))
    }
    let silent = #"{"task_id":"id-1","result":null,"status":"Failed"}"#
    #expect(Self.poll(200, silent) == .crashed("the checker failed: "))
    for (status, text) in [
      (500, #"{"detail":"Task retrieval failed... how?"}"#), (200, "{"), (200, #"{"status":"Missing"}"#),
      (200, #"{"status":"Success","result":{"node_scores":[1]}}"#), (502, "<html>"),
    ] {
      guard case .broken = Self.poll(status, text) else {
        Issue.record("\(status) \(text) is of use")
        continue
      }
    }
  }

  @Test("numbers that JSON does not have become null outside of strings only")
  func nonFinite() {
    func clean(_ text: String) -> String {
      String(decoding: CheckJSON.withoutNonFinite(Array(text.utf8)), as: UTF8.self)
    }
    #expect(clean(#"{"a":NaN,"b":[-Infinity, Infinity]}"#) == #"{"a":null,"b":[null, null]}"#)
    #expect(clean(#"{"NaN":"a \" NaN","b":-1}"#) == #"{"NaN":"a \" NaN","b":-1}"#)
  }

  @Test("only failures before a connection stood mean that nothing was posted")
  func failures() {
    for code in HTTPFailure.Code.allCases {
      let answer = PostAnswer(HTTPFailure(code))
      let isBefore = [.resolve, .connectRefused, .connectTimeout, .tls].contains(code)
      #expect(answer == (isBefore ? .unreachable(code.rawValue) : .broken(code.rawValue)))
    }
  }
}
