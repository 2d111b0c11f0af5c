import Foundation

@testable import Common

/// What a miner sees of one request, as numbers.
struct Sight {
  let features: [Double]

  init(head: [UInt8], body: [UInt8]) throws {
    let text = String(decoding: body, as: UTF8.self)
    let json = try JSON(parsing: Data(body))
    var features: [Double] = [Double(json["seed"]?.int ?? -1)]
    // Headers: how many, how long, which names in which order, their values but for the body's length.
    let lines = String(decoding: head, as: UTF8.self).components(separatedBy: "\r\n").filter { !$0.isEmpty }
    let headers = lines.dropFirst().filter { !$0.lowercased().hasPrefix("content-length") }
    features += [Double(lines.count), Sight.hash(headers.joined(separator: "|")), Sight.hash(lines[0])]
    // The body: size, fields in their order, how its numbers are written.
    let keys = text.matches(of: /"(\w+)":/).map { String($0.1) }
    features += [Double(body.count), Sight.hash(Set(keys).sorted().joined(separator: ","))]
    let tail = text[(text.range(of: "],\"")?.lowerBound ?? text.startIndex)...]
    features.append(Sight.hash(tail.matches(of: /"(\w+)":/).map { String($0.1) }.joined(separator: ",")))
    for name in ["temperature", "top_p", "max_tokens", "top_k"] {
      let written = text.firstMatch(of: try Regex("\"\(name)\":([^,}]*)")).map {
        String($0[1].substring ?? "")
      }
      features += [json[name]?.double ?? -1, Double(written?.count ?? -1)]
    }
    features += [Double(String(json["seed"]?.int ?? 0).count)]
    // The conversation.
    guard case .array(let messages)? = json["messages"] else { preconditionFailure("a chat") }
    let contents = messages.compactMap { $0["content"]?.text }
    let roles = messages.compactMap { $0["role"]?.text }
    features += [Double(messages.count), Sight.hash(roles.joined(separator: ","))]
    let all = contents.joined()
    features += [Double(all.count), Double(contents.last?.count ?? 0), Double(contents.first?.count ?? 0)]
    features += [
      Double(all.count { $0.isNumber }), Double(all.count { $0.isUppercase }),
      Double(all.count { $0 == "." }),
      Double(all.utf8.count - all.count), Double(all.count { $0 == "?" }),
    ]
    self.features = features
  }

  private static func hash(_ text: String) -> Double {
    var hash: UInt32 = 2_166_136_261
    for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    return Double(hash % 100_003)
  }
}
