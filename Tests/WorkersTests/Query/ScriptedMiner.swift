import Common
import Foundation

@testable import Simulator

/// A miner over real HTTP that does as it is told. Each token of its answers names the miner, the request and
/// the token's number, so that a reply shows where it comes from.
@IO
final class ScriptedMiner {
  /// What it does with a request.
  enum Act: Equatable {
    /// So many tokens.
    case answer(Int)
    /// This status, without an answer.
    case status(Int)
    /// Closes the connection before the answer, or after so many tokens.
    case closes(after: Int)
    /// Keeps the connection and says no more, from the beginning or after so many tokens.
    case silent(after: Int)
    /// An error event after so many tokens.
    case error(after: Int)
    /// A picture.
    case picture
    /// Half of a picture.
    case halfPicture
  }

  let uid: Int
  /// What it does with its request of this number, from 0.
  var act: (Int) -> Act = { _ in .answer(5) }
  /// Between two tokens; 0 sends all at once.
  var paceMilliseconds = 0
  /// Called with each request, before the answer.
  var onRequest: () -> Void = {}
  /// Heads and bodies of all requests.
  private(set) var heads: [[UInt8]] = []
  private(set) var bodies: [[UInt8]] = []
  /// When each request came, and how many came before it on the same connection.
  private(set) var arrivals: [(at: Monotonic, onConnection: Int)] = []
  /// Kept, so that no later connection has the identity of an earlier one.
  private var connections: [ObjectIdentifier: (connection: HTTPConnection, requests: Int)] = [:]
  /// Requests whose answer has not ended.
  private(set) var open = 0
  /// Answers that the other side did not wait for.
  private(set) var abandoned = 0
  private var server: HTTPServer?

  init(uid: Int) throws {
    self.uid = uid
    server = try HTTPServer(port: 0) { [unowned self] request, connection in
      self.heads.append(Array(request.head.bytes))
      self.bodies.append(request.body)
      self.noteArrival(connection)
      self.onRequest()
      self.open += 1
      connection.onDisconnect = { [weak self] in
        self?.open -= 1
        self?.abandoned += 1
      }
      self.serve(self.act(self.bodies.count - 1), connection, number: self.bodies.count - 1)
    }
    try server?.start()
  }

  var url: String { "http://127.0.0.1:\(server?.port ?? 0)" }

  func stop() {
    // What a test gave may hold this miner, or all of them.
    act = { _ in .answer(5) }
    onRequest = {}
    server?.stop()
    server = nil
  }

  private func noteArrival(_ connection: HTTPConnection) {
    let known = connections[ObjectIdentifier(connection)]?.requests ?? 0
    connections[ObjectIdentifier(connection)] = (connection, known + 1)
    arrivals.append((Monotonic.now(), known))
  }

  private func serve(_ act: Act, _ connection: HTTPConnection, number: Int) {
    switch act {
    case .answer(let count): stream(connection, number, count) { [weak self] in self?.complete(connection) }
    case .status(let code):
      open -= 1
      connection.respond(status: code, headers: ["retry-after: 1"], body: Array(#"{"detail":"no"}"#.utf8))
    case .closes(let count):
      guard count > 0 else { return closed(connection) }
      stream(connection, number, count) { [weak self] in self?.closed(connection) }
    case .silent(let count): if count > 0 { stream(connection, number, count) {} }
    case .error(let count):
      stream(connection, number, count) { [weak self] in
        connection.sendChunk(Array("data: {\"error\":{\"message\":\"engine died\",\"code\":500}}\n\n".utf8))
        self?.complete(connection)
      }
    case .picture:
      open -= 1
      connection.respond(status: 200, body: Array(#"{"image_b64":"AAAA","is_nsfw":false}"#.utf8))
    case .halfPicture:
      open -= 1
      let body = Array(#"{"image_b64":"AAAA"#.utf8)
      connection.respond(status: 200, body: body, declaring: 100, closing: true)
    }
  }

  private func closed(_ connection: HTTPConnection) {
    open -= 1
    connection.abandon()
  }

  private func complete(_ connection: HTTPConnection) {
    guard connection.isOpen else { return }
    // Usage as miners like to state it.
    let end =
      #"{"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"completion_tokens":99999}}"#
    connection.sendChunk(Array("data: \(end)\n\ndata: [DONE]\n\n".utf8))
    open -= 1
    connection.endStream()
  }

  private func stream(
    _ connection: HTTPConnection, _ number: Int, _ count: Int, then finish: @escaping @IO () -> Void
  ) {
    connection.beginStream()
    let role =
      #"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}],"secret":"from the miner"}"#
    connection.sendChunk(Array("data: \(role)\n\n".utf8))
    send(connection, number, 0..<count, then: finish)
  }

  private func send(
    _ connection: HTTPConnection, _ number: Int, _ rest: Range<Int>, then finish: @escaping @IO () -> Void
  ) {
    guard connection.isOpen else { return }
    guard let next = rest.first else { return finish() }
    if paceMilliseconds == 0 {
      connection.sendChunk(rest.flatMap { token(number, $0) })
      return finish()
    }
    connection.sendChunk(token(number, next))
    _ = EventLoop.shared.after(milliseconds: paceMilliseconds) { [weak self] in
      self?.send(connection, number, rest.dropFirst(), then: finish)
    }
  }

  private func token(_ number: Int, _ index: Int) -> [UInt8] {
    let text = "m\(uid).\(number).\(index) "
    let event =
      #"{"id":"x","choices":[{"index":0,"delta":{"content":"\#(text)","tool_calls":[1]},"logprobs":"#
      + #"{"content":[{"token":"\#(text)","logprob":-0.5}]},"finish_reason":null}]}"#
    return Array("data: \(event)\n\n".utf8)
  }
}
