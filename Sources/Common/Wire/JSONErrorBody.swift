import Foundation

/// A plain JSON body where a stream was expected: servers exist that report errors so, with status 200.
public enum JSONErrorBody {
  /// The error's message, at most 300 bytes of it: of `{"error": {"message": …}}`, `{"error": …}`,
  /// `{"message": …}` or `{"detail": …}`. Empty if the body is an error without a message; nil if it is none.
  public static func message(_ bytes: UnsafeRawBufferPointer) -> String? {
    var text: [UInt8] = []
    guard ChatChunk.scan(bytes, text: &text).kind == .error else { return nil }
    return String(decoding: text, as: UTF8.self)
  }

  /// As the other form, for bytes in an array.
  public static func message(_ bytes: [UInt8]) -> String? { bytes.withUnsafeBytes { message($0) } }

  /// Whether a body that starts with `bytes` is JSON rather than events, which start with a letter or colon.
  public static func isLikely(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let first = bytes.first { $0 != 0x20 && $0 != 0x0a && $0 != 0x0d && $0 != 0x09 }
    return first == UInt8(ascii: "{") || first == UInt8(ascii: "[")
  }
}
