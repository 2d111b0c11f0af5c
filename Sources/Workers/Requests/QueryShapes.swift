import Common
import Foundation

/// How users ask, as the operator knows it: rows of parameters, from which those of synthetic queries are drawn,
/// so that nothing in a request's numbers tells a test from a user. It holds no content.
///
/// docs/CONFIGURATION.md describes the file.
package struct QueryShapes: Sendable {
  /// One way of asking. What is nil is drawn as without a file.
  package struct Row: Codable, Sendable, Equatable {
    var task: String
    /// How often, beside the task's other rows; 1 when it is left out.
    var weight: Double?
    var temperature: Double?
    var topP: Double?
    var maxTokens: Int?
    var seed: Int?
    /// Messages after the system's, whose last one is the user's: an odd number.
    var messages: Int?
    /// Whether a system's message comes first.
    var system: Bool?
    /// Words of all messages, or of the prompt.
    var words: Int?
    var steps: Int?
    var cfgScale: Double?
    var width: Int?
    var height: Int?

    enum CodingKeys: String, CodingKey, CaseIterable {
      case task, weight, temperature, seed, messages, system, words, steps, width, height
      case topP = "top_p"
      case maxTokens = "max_tokens"
      case cfgScale = "cfg_scale"
    }

    /// Why the row makes no sense; nil when it does.
    fileprivate var fault: String? {
      func isOut<T: Comparable>(_ value: T?, _ range: ClosedRange<T>) -> Bool {
        value.map { !range.contains($0) } ?? false
      }
      if isOut(weight, 0.000_001...1_000_000) { return "weight must be positive" }
      if isOut(temperature, 0...2) { return "temperature must be from 0 to 2" }
      if isOut(topP, 0...1) { return "top_p must be from 0 to 1" }
      if isOut(maxTokens, 1...100_000) { return "max_tokens must be from 1 to 100000" }
      if isOut(seed, 0...Int(Int32.max)) { return "seed must be from 0 to 2147483647" }
      if isOut(messages, 1...99) || (messages ?? 1) % 2 == 0 { return "messages must be odd, from 1 to 99" }
      if isOut(words, 1...20_000) { return "words must be from 1 to 20000" }
      if isOut(steps, 1...1_000) { return "steps must be from 1 to 1000" }
      if isOut(cfgScale, 0...20) { return "cfg_scale must be from 0 to 20" }
      if isOut(width, 64...4096) || isOut(height, 64...4096) { return "width and height: from 64 to 4096" }
      return nil
    }
  }

  private struct File: Codable {
    var version: Int
    var rows: [Row]
  }

  /// Why a file cannot be used.
  package struct Invalid: Error, Equatable, CustomStringConvertible {
    package let description: String
  }

  /// Most rows of a file.
  static let rowsMax = 100_000

  private let rows: [String: [Row]]
  /// By task, the sum of the weights up to each row.
  private let sums: [String: [Double]]

  /// Reads the JSON of a file.
  package init(parsing data: Data) throws(Invalid) {
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: data)
      let known = Set(Row.CodingKeys.allCases.map(\.rawValue))
      let given = try JSON(parsing: data)["rows"]
      for index in file.rows.indices {
        guard case .object(let members)? = given?[index] else { continue }
        for name in members.keys.sorted() where !known.contains(name) {
          throw Invalid(description: "row \(index): there is no field \(name.prefix(40))")
        }
      }
    } catch let error as Invalid {
      throw error
    } catch {
      throw Invalid(description: "it is no JSON object with 'version' and 'rows' of the right types")
    }
    guard file.version == 1 else { throw Invalid(description: "version must be 1") }
    guard (1...QueryShapes.rowsMax).contains(file.rows.count) else {
      throw Invalid(description: "it must have 1 to \(QueryShapes.rowsMax) rows")
    }
    for (index, row) in file.rows.enumerated() {
      if let fault = row.fault { throw Invalid(description: "row \(index): \(fault)") }
    }
    rows = Dictionary(grouping: file.rows, by: \.task)
    sums = rows.mapValues { rows in
      var sum = 0.0
      return rows.map { row in
        sum += row.weight ?? 1
        return sum
      }
    }
  }

  /// A row for a task, by weight; nil when the file has none.
  package func draw(task: String, _ random: inout SeededRandom) -> Row? {
    guard let rows = rows[task], let sums = sums[task], let total = sums.last else { return nil }
    let point = random.uniform() * total
    return rows[sums.firstIndex { point < $0 } ?? rows.count - 1]
  }
}
