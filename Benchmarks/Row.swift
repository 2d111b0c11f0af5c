import Common
import Foundation

/// What a figure should reach.
enum Aim {
  case atLeast(Double)
  case atMost(Double)
  /// At most a share away from a value.
  case within(Double, Double)

  func holds(_ value: Double) -> Bool {
    switch self {
    case .atLeast(let limit): value >= limit
    case .atMost(let limit): value <= limit
    case .within(let center, let share): abs(value - center) <= share * center
    }
  }

  var text: String {
    switch self {
    case .atLeast(let limit): ">= " + Row.shown(limit)
    case .atMost(let limit): "<= " + Row.shown(limit)
    case .within(let center, _): "~ " + Row.shown(center)
    }
  }
}

/// One figure. Without an aim it is there to judge others by.
struct Row {
  var bench: String
  var metric: String
  var value: Double
  var unit: String
  var aim: Aim?
  /// What was measured elsewhere, for comparison.
  var anchor = ""

  /// Whether the aim is met; nil without one.
  var holds: Bool? { aim?.holds(value) }

  /// With three digits that matter.
  static func shown(_ value: Double) -> String {
    guard value.isFinite else { return "?" }
    let size = abs(value)
    if size >= 100 { return String(Int(value.rounded())) }
    return String(format: size >= 10 ? "%.1f" : "%.2f", value)
  }

  /// One JSON object; `aim` and `holds` are null without an aim.
  var json: String {
    var writer = JSONWriter()
    writer.beginObject()
    writer.member("bench", bench)
    writer.member("metric", metric)
    writer.member("value", (value * 1000).rounded() / 1000)
    writer.member("unit", unit)
    writer.key("aim")
    if let aim { writer.string(aim.text) } else { writer.raw("null".utf8) }
    writer.member("anchor", anchor)
    writer.key("holds")
    writer.raw((holds.map { $0 ? "true" : "false" } ?? "null").utf8)
    writer.endObject()
    return String(decoding: writer.bytes, as: UTF8.self)
  }

  private static let widths = [13, 34, 10, 9, 10, 6]

  private static func line(_ words: [String]) -> String {
    let padded = zip(words, widths).map {
      $0.padding(toLength: max($1, $0.count), withPad: " ", startingAt: 0)
    }
    return (padded + words.dropFirst(widths.count)).joined(separator: " ")
  }

  static var heading: String { line(["bench", "metric", "value", "unit", "aim", "holds", "anchor"]) }

  /// One line of a table.
  var line: String {
    let verdict = holds.map { $0 ? "yes" : "NO" } ?? ""
    return Row.line([bench, metric, Row.shown(value), unit, aim?.text ?? "", verdict, anchor])
  }
}

extension [Double] {
  /// The middle value; of an even number the lower of the two in the middle. Zero when there is none.
  var median: Double { isEmpty ? 0 : sorted()[(count - 1) / 2] }
}
