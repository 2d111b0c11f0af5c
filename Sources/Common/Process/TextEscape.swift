/// Makes text safe to print inside quotes on one line of a terminal, a log or JSON.
enum TextEscape {
  /// Appends `text` to `output`, escaped as in a JSON string. What would break the line, move the cursor
  /// or turn the direction of writing becomes `\uXXXX`. Once `maxBytes` of output are reached, the rest
  /// is left out and `…` says so.
  static func append(_ text: some StringProtocol, to output: inout String, maxBytes: Int) {
    var bytes = 0
    for scalar in text.unicodeScalars {
      let piece = escaped(scalar)
      bytes += piece.utf8.count
      guard bytes <= maxBytes else {
        output += "…"
        return
      }
      output += piece
    }
  }

  /// `text` escaped and cut, for messages to people.
  static func shown(_ text: some StringProtocol, maxBytes: Int = 80) -> String {
    var output = ""
    append(text, to: &output, maxBytes: maxBytes)
    return output
  }

  /// `text` on one line, for a message that people read as it is: quotes and backslashes stay.
  static func line(_ text: String, maxBytes: Int = 2048) -> String {
    var output = ""
    for scalar in text.unicodeScalars {
      output += scalar == "\"" || scalar == "\\" ? String(scalar) : escaped(scalar)
      guard output.utf8.count <= maxBytes else { return output + "…" }
    }
    return output
  }

  private static func escaped(_ scalar: Unicode.Scalar) -> String {
    switch scalar {
    case "\"": return "\\\""
    case "\\": return "\\\\"
    case "\n": return "\\n"
    case "\r": return "\\r"
    case "\t": return "\\t"
    default: break
    }
    switch scalar.value {
    // C0 and C1 controls, line and paragraph separators, marks that turn the direction of writing.
    case 0..<0x20, 0x7f..<0xa0, 0x2028...0x202e, 0x200e...0x200f, 0x2066...0x2069:
      let digits = String(scalar.value, radix: 16)
      return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    default: return String(scalar)
    }
  }
}
