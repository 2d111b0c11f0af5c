import Common
import Foundation

/// One promise under one fault: what was seen, and what was to be.
struct Figure {
  /// What a figure must reach.
  enum Aim {
    case exactly(Double)
    case atMost(Double)
    case atLeast(Double)
    /// Shown only, so that others can be judged by it.
    case shown
  }

  /// What is promised, in a few words.
  var promise: String
  var value: Double
  var unit: String
  var aim: Aim

  /// Whether the aim is met; nil where there is none.
  var holds: Bool? {
    switch aim {
    case .exactly(let wanted): value == wanted
    case .atMost(let limit): value <= limit
    case .atLeast(let limit): value >= limit
    case .shown: nil
    }
  }

  /// One line of the table.
  func line(fault: String) -> String {
    let shown = Figure.text(value) + (unit.isEmpty ? "" : " " + unit)
    let verdict = holds.map { $0 ? "yes" : "NO" } ?? ""
    return [
      Figure.padded(fault, 22), Figure.padded(promise, 46), Figure.padded(shown, 16),
      Figure.padded(aimText, 12), verdict,
    ].joined(separator: " ")
  }

  /// The table's first line.
  static var heading: String {
    [padded("fault", 22), padded("promise", 46), padded("figure", 16), padded("aim", 12), "holds"]
      .joined(separator: " ")
  }

  /// One JSON object; `aim` is empty and `holds` null where nothing is to be reached.
  func json(fault: String, seed: Int) -> String {
    JSON.object([
      "fault": .string(fault), "promise": .string(promise), "value": .number(value), "unit": .string(unit),
      "aim": .string(aimText), "holds": holds.map(JSON.bool) ?? .null, "seed": .integer(seed),
    ]).canonicalText()
  }

  private var aimText: String {
    switch aim {
    case .exactly(let wanted): Figure.text(wanted)
    case .atMost(let limit): "<= " + Figure.text(limit)
    case .atLeast(let limit): ">= " + Figure.text(limit)
    case .shown: ""
    }
  }

  private static func text(_ value: Double) -> String {
    guard value.isFinite else { return "?" }
    if value == value.rounded(), abs(value) < 1e12 { return String(Int(value)) }
    return String(format: abs(value) >= 10 ? "%.1f" : "%.2f", value)
  }

  private static func padded(_ text: String, _ width: Int) -> String {
    text.count >= width ? text : text + String(repeating: " ", count: width - text.count)
  }
}

extension [Int] {
  /// The value below which this share of all lies; 0 of none.
  func quantile(_ share: Double) -> Int {
    guard !isEmpty else { return 0 }
    return sorted()[Swift.min(count - 1, Int(Double(count) * share))]
  }
}
