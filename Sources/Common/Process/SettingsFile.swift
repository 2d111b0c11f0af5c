import Foundation
import Glibc

/// A settings file as read: a JSON object such as `{"redis-url": "redis://10.0.0.5:6379/0", "slots": 64}`.
public struct SettingsFile: Sendable {
  /// Where it was read, for messages.
  public let path: String
  /// The whole file.
  public let bytes: [UInt8]
  /// The permission bits of its mode.
  public let mode: UInt32

  /// Largest file that is read, in bytes.
  public static let maxBytes = 1 << 20

  /// A file with known contents.
  public init(path: String, bytes: [UInt8], mode: UInt32) {
    self.path = path
    self.bytes = bytes
    self.mode = mode
  }

  /// Reads a file from the disk.
  /// - Throws: `.unreadableFile` with the system's reason, or when it is too large or not a file.
  public static func read(_ path: String) throws(SettingsError) -> SettingsFile {
    try read(path, setting: "settings", called: "settings file")
  }

  /// The same for the file that another setting names.
  static func read(_ path: String, setting: String, called name: String) throws(SettingsError) -> SettingsFile
  {
    func refused(_ reason: String) -> SettingsError {
      SettingsError(
        .unreadableFile, setting: setting, "\(name) \(TextEscape.shown(path, maxBytes: 300)): \(reason)")
    }
    // Non-blocking, so that a named pipe is refused instead of waited for.
    let fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard fd >= 0 else { throw refused(String(cString: strerror(errno))) }
    defer { close(fd) }
    var status = stat()
    guard fstat(fd, &status) == 0 else { throw refused(String(cString: strerror(errno))) }
    guard status.st_mode & S_IFMT == S_IFREG else { throw refused("is not a file") }
    guard status.st_size <= maxBytes else { throw refused("is larger than \(maxBytes) bytes") }
    var bytes = [UInt8](repeating: 0, count: maxBytes + 1)
    var count = 0
    while count <= maxBytes {
      let taken = bytes.withUnsafeMutableBytes { Glibc.read(fd, $0.baseAddress! + count, $0.count - count) }
      guard taken >= 0 else { throw refused(String(cString: strerror(errno))) }
      if taken == 0 { break }
      count += taken
    }
    guard count <= maxBytes else { throw refused("is larger than \(maxBytes) bytes") }
    return SettingsFile(path: path, bytes: Array(bytes[..<count]), mode: status.st_mode & 0o7777)
  }

  /// Whether users other than the owner can read it.
  var isExposed: Bool { mode & 0o044 != 0 }

  /// Its keys and their values as the text that a flag would have.
  func entries() throws(SettingsError) -> [(name: String, text: String)] {
    guard !bytes.isEmpty else { throw malformed("is empty; an object with no settings is {}") }
    let object: [String: Scalar]
    do {
      object = try JSONDecoder().decode([String: Scalar].self, from: Data(bytes))
    } catch DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context) {
      let key = context.codingPath.first.map { "\"\(TextEscape.shown($0.stringValue))\"" }
      throw malformed(key.map { "\($0) must be a text, a number or a boolean" } ?? "must be a JSON object")
    } catch {
      throw malformed("is not JSON")
    }
    return object.map { ($0.key, $0.value.text) }.sorted { $0.name < $1.name }
  }

  func malformed(_ reason: String) -> SettingsError {
    SettingsError(.malformedFile, setting: "settings", "settings file \(TextEscape.shown(path)) \(reason)")
  }

  /// A JSON value that is not a container.
  private struct Scalar: Decodable {
    let text: String

    init(from decoder: any Decoder) throws {
      let container = try decoder.singleValueContainer()
      if let flag = try? container.decode(Bool.self) {
        text = flag ? "true" : "false"
      } else if let number = try? container.decode(Int.self) {
        text = String(number)
      } else if let number = try? container.decode(Double.self) {
        text = String(number)
      } else {
        text = try container.decode(String.self)
      }
    }
  }
}
