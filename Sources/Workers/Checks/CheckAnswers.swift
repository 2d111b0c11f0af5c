import Common
import Foundation

/// What came of posting a check.
package enum PostAnswer: Equatable {
  /// The server works on it, under this name.
  case accepted(remoteID: String)
  /// It works for somebody else; the name that it gave is a stranger's.
  case busy
  /// It will not take this check, now or later.
  case refused(detail: String)
  /// It was reached, and answered nothing of use.
  case broken(String)
  /// It was not reached: nothing was posted.
  case unreachable(String)

  /// Reads a response.
  package init(status: Int, body: [UInt8]) {
    switch status {
    case 200:
      let json = CheckJSON.parse(body)
      switch json?["status"]?.text {
      case "Busy": self = .busy
      case "Processing":
        guard let id = json?["task_id"]?.text, CheckJSON.isName(id) else {
          self = .broken("the server took the check without naming it")
          return
        }
        self = .accepted(remoteID: id)
      default: self = .broken("the server answered a check with something else")
      }
    // Not valid, too large, or not readable at all: no server of this kind will take it.
    case 400, 413, 422: self = .refused(detail: "status \(status) " + CheckJSON.excerpt(body))
    default: self = .broken("the server answered a check with status \(status)")
    }
  }

  /// Reads a failure.
  init(_ failure: HTTPFailure) {
    self = failure.isBeforeSending ? .unreachable(failure.message) : .broken(failure.message)
  }
}

/// What came of asking for a verdict.
package enum PollAnswer: Equatable {
  /// The server still works on it.
  case processing
  /// A score within -10…1.
  case judged(Double)
  /// The server could not judge, or its score is none; the reason for the log.
  case unjudged(String)
  /// The checker itself failed.
  case crashed(String)
  /// The answer is about another check.
  case foreign(String)
  /// The server does not know the check: the verdict was read before, or is forgotten.
  case gone
  /// The server was reached, and answered nothing of use; the verdict may have been in it.
  case broken(String)
  /// The server was not reached.
  case unreachable(String)

  /// What a checking server's score may be.
  static let scores = -10.0...1.0

  /// Reads a response. `nodeKey` is the node id that was sent, as text.
  package init(status: Int, body: [UInt8], remoteID: String, nodeKey: String) {
    guard status == 200 else {
      self = status == 404 ? .gone : .broken("the server answered with status \(status)")
      return
    }
    guard let json = CheckJSON.parse(body) else {
      self = .broken("the server answered with something that is no JSON")
      return
    }
    if let id = json["task_id"]?.text, id != remoteID {
      self = .foreign("the server answered about another check")
      return
    }
    switch json["status"]?.text {
    case "Processing": self = .processing
    case "Success": self.init(scores: json["result"]?["node_scores"], nodeKey: nodeKey)
    case "Failed":
      let trace = json["result"]?["traceback"]?.text ?? json["result"]?["error_message"]?.text ?? ""
      self = .crashed("the checker failed: " + trace.suffix(CheckJSON.excerptMax))
    default: self = .broken("the server answered with an unknown status")
    }
  }

  private init(scores: JSON?, nodeKey: String) {
    switch scores {
    case .object(let entries):
      if entries.isEmpty {
        self = .unjudged("the server could not judge")
      } else if entries.keys.contains(where: { $0 != nodeKey }) {
        self = .foreign("the server scored a node that was not sent")
      } else if let score = entries[nodeKey]?.double, PollAnswer.scores.contains(score) {
        self = .judged(score)
      } else {
        self = .unjudged("the score is no number from -10 to 1")
      }
    case nil, .null: self = .unjudged("the server gave no scores")
    default: self = .broken("the scores are no object")
    }
  }

  /// Reads a failure.
  init(_ failure: HTTPFailure) {
    self = failure.isBeforeSending ? .unreachable(failure.message) : .broken(failure.message)
  }
}

extension HTTPFailure {
  /// Whether no connection was established, so that nothing can have been sent.
  var isBeforeSending: Bool {
    switch code {
    case .resolve, .connectRefused, .connectTimeout, .tls: true
    default: false
    }
  }
}

/// JSON as a Python server writes it.
enum CheckJSON {
  /// Characters of a server's words that are logged.
  static let excerptMax = 300

  /// Parses a body; the numbers that JSON does not have (`NaN`, `Infinity`) are read as null. nil when the
  /// rest is not JSON.
  static func parse(_ body: [UInt8]) -> JSON? {
    (try? JSON(parsing: Data(body))) ?? (try? JSON(parsing: Data(withoutNonFinite(body))))
  }

  /// The same text with every `NaN`, `Infinity` and `-Infinity` outside of strings replaced.
  static func withoutNonFinite(_ body: [UInt8]) -> [UInt8] {
    var output: [UInt8] = []
    output.reserveCapacity(body.count)
    var index = 0
    var isInString = false
    while index < body.count {
      if !isInString, let word = words.first(where: { body[index...].starts(with: $0) }) {
        output += Array("null".utf8)
        index += word.count
        continue
      }
      let byte = body[index]
      output.append(byte)
      index += 1
      if byte == UInt8(ascii: "\"") {
        isInString.toggle()
      } else if isInString, byte == UInt8(ascii: "\\"), index < body.count {
        output.append(body[index])
        index += 1
      }
    }
    return output
  }

  private static let words = ["NaN", "-Infinity", "Infinity"].map { Array($0.utf8) }

  /// Whether a server's name for a check can stand in a path.
  static func isName(_ text: String) -> Bool {
    (1...128).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        (0x30...0x39).contains($0) || (0x41...0x5a).contains($0) || (0x61...0x7a).contains($0)
          || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
      }
  }

  /// The beginning of a body, for the log.
  static func excerpt(_ body: [UInt8]) -> String {
    String(decoding: body.prefix(excerptMax), as: UTF8.self)
  }
}
