import Foundation

/// Goodput by scenario and policy, as a drawing.
enum RouterPlot {
  private static let colours = [
    "#d62728", "#ff9896", "#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#e377c2", "#bcbd22", "#17becf",
    "#444444",
  ]
  private static let (left, top, width, rowHeight) = (110.0, 64.0, 640.0, 34.0)

  /// Where a share of 0 to 100 % lies.
  private static func x(_ percent: Double) -> Double { left + width * min(100, max(0, percent)) / 100 }

  /// The whole drawing: a row for each scenario, a dot with its confidence interval for each policy.
  static func svg(_ outcomes: [RouterStudy.Outcome]) -> String {
    let height = top + rowHeight * Double(outcomes.count)
    var parts = [
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"780\" height=\"\(Int(height + 40))\" "
        + "font-family=\"sans-serif\" font-size=\"11\">",
      "<title>Goodput of routing policies in twelve scenarios</title>",
      "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>",
    ]
    parts += legend() + axis(height)
    for (row, outcome) in outcomes.enumerated() {
      let middle = top + rowHeight * (Double(row) + 0.5)
      parts.append(text(left - 8, middle + 4, outcome.scenario, anchor: "end"))
      for policy in RouterStudy.policies.indices.reversed() {
        // A little apart, so that equal ones can be told from each other.
        let offset = (Double(policy) / Double(RouterStudy.policies.count - 1) - 0.5) * rowHeight * 0.6
        parts += dot(outcome.mean(policy, .goodput), y: middle + offset, colours[policy], big: policy == 0)
      }
    }
    return (parts + ["</svg>"]).joined(separator: "\n") + "\n"
  }

  private static func dot(_ value: SimMean, y: Double, _ colour: String, big: Bool) -> [String] {
    let (from, to) = (x(value.mean - value.halfWidth), x(value.mean + value.halfWidth))
    return [
      line(from, y, to, y, colour),
      circle(x(value.mean), y, radius: big ? 4.5 : 3, colour),
    ]
  }

  private static func legend() -> [String] {
    RouterStudy.policies.enumerated().flatMap { index, policy in
      let (column, row) = (Double(index % 5), Double(index / 5))
      let (x, y) = (left + 10 + column * 128, 18 + row * 18)
      return [
        circle(x, y - 4, radius: 4, colours[index]),
        text(x + 8, y, policy.name, anchor: "start"),
      ]
    }
  }

  private static func axis(_ height: Double) -> [String] {
    stride(from: 0.0, through: 100, by: 20).flatMap { percent in
      [
        line(x(percent), top, x(percent), height, "#dddddd"),
        text(x(percent), height + 16, "\(Int(percent)) %", anchor: "middle"),
      ]
    } + [text(left + width / 2, height + 32, "goodput", anchor: "middle")]
  }

  private static func shown(_ place: Double) -> String { String(format: "%.1f", place) }

  private static func circle(_ x: Double, _ y: Double, radius: Double, _ colour: String) -> String {
    "<circle cx=\"\(shown(x))\" cy=\"\(shown(y))\" r=\"\(shown(radius))\" fill=\"\(colour)\"/>"
  }

  private static func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ colour: String) -> String
  {
    "<line x1=\"\(shown(x1))\" y1=\"\(shown(y1))\" x2=\"\(shown(x2))\" y2=\"\(shown(y2))\" stroke=\"\(colour)\"/>"
  }

  private static func text(_ x: Double, _ y: Double, _ words: String, anchor: String) -> String {
    "<text x=\"\(shown(x))\" y=\"\(shown(y))\" text-anchor=\"\(anchor)\">\(words)</text>"
  }
}
