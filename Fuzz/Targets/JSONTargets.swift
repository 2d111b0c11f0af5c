import Common
import Foundation

/// JSON, wherever it comes from.
extension FuzzTarget {
  static let json = [
    FuzzTarget(
      name: "json",
      tokens: ["{\"a\":", "[[[[[[[[", "]]]]", "true", "false", "null", "\\u00e9", "\\ud800", ",", ":"]
    ) {
      bytes in
      guard let value = try? JSON(parsing: Data(bytes)) else { return }
      let text = value.canonicalText()
      guard let again = try? JSON(parsing: Data(text.utf8)) else {
        throw FuzzFinding("what was read and written cannot be read: \(text.prefix(200))")
      }
      try expect(
        again.canonicalText() == text, "what was written reads as something else: \(text.prefix(200))")
    }
  ]
}
