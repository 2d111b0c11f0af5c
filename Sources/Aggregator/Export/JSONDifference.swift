import Common
import Foundation

/// The first place at which two JSON texts say something different, for people.
public enum JSONDifference {
  /// Such as `task chat, miner 5F…: factors.history.mean: published 0.5, recomputed 0.4`.
  public static func first(published: String, recomputed: String) -> String {
    guard let left = try? JSON(parsing: Data(published.utf8)),
      let right = try? JSON(parsing: Data(recomputed.utf8))
    else { return "the published text is no JSON" }
    return first(left, right, Place()) ?? "the same figures, written in another way"
  }

  /// Where one is: who it is about, and the members on the way.
  private struct Place {
    var about: [String] = []
    var path: [String] = []

    var text: String {
      let members = path.joined(separator: ".")
      return [about.joined(separator: ", "), members].filter { !$0.isEmpty }.joined(separator: ": ")
    }
  }

  private static func first(_ left: JSON, _ right: JSON, _ place: Place) -> String? {
    switch (left, right) {
    case (.object(let published), .object(let recomputed)):
      // The outcome follows from the tasks: what it follows from comes first.
      let keys = Set(published.keys).union(recomputed.keys).sorted {
        ($0 == "outcome" ? 1 : 0, $0) < ($1 == "outcome" ? 1 : 0, $1)
      }
      for key in keys {
        var inner = place
        inner.path.append(key)
        if let found = first(published[key] ?? .null, recomputed[key] ?? .null, inner) { return found }
      }
      return nil
    case (.array(let published), .array(let recomputed)):
      for (index, pair) in zip(published, recomputed).enumerated() {
        var inner = place
        if let name = name(pair.1) {
          inner.about.append(name)
          inner.path = []
        } else {
          inner.path.append(String(index))
        }
        if let found = first(pair.0, pair.1, inner) { return found }
      }
      guard published.count != recomputed.count else { return nil }
      return "\(place.text): published \(published.count) elements, recomputed \(recomputed.count)"
    default:
      guard left != right else { return nil }
      return "\(place.text): published \(shown(left)), recomputed \(shown(right))"
    }
  }

  /// Who or what an element of a list is about.
  private static func name(_ element: JSON) -> String? {
    if let hotkey = element["hotkey"]?.text ?? element["factors"]?["hotkey"]?.text {
      return "miner \(hotkey)"
    }
    return element["task"]?.text.map { "task \($0)" }
  }

  private static func shown(_ value: JSON) -> String { String(value.canonicalText().prefix(100)) }
}
