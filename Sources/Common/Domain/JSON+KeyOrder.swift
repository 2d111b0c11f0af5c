import Foundation

extension JSON {
  /// In which order the members of objects stand in a text. Objects themselves are unordered; whoever must
  /// answer in the order of the question asks for this beside the value.
  public struct KeyOrder: Sendable {
    /// Objects deeper than this are not noted.
    static let depthMax = 6

    private var keys: [[String]: [String]] = [:]

    /// Knows of no object.
    public init() {}

    /// The member names of the object at `path` (member names, and indices as decimals), each once; empty
    /// when there is no such object.
    public func keys(at path: [String]) -> [String] { keys[path] ?? [] }

    mutating func note(_ key: String, in path: [String]) {
      guard path.count <= Self.depthMax else { return }
      keys[path, default: []].append(key)
    }
  }

  /// Parses JSON text and tells in which order its members stand. Throws Foundation's `DecodingError` when
  /// it is not JSON.
  public static func ordered(parsing data: Data) throws -> (value: JSON, order: KeyOrder) {
    var order: KeyOrder? = KeyOrder()
    let value = try JSON(parsing: data, noting: &order)
    return (value, order ?? KeyOrder())
  }

  /// A number as recorded figures write it, where `"NaN"`, `"Infinity"` and `"-Infinity"` stand as texts;
  /// nil for anything else.
  public var real: Double? {
    switch self {
    case .string("NaN"): return .nan
    case .string("Infinity"): return .infinity
    case .string("-Infinity"): return -.infinity
    default: return double
    }
  }

  /// A number in the form that ``real`` reads.
  public static func real(_ value: Double) -> JSON {
    if value.isFinite { return .number(value) }
    return .string(value.isNaN ? "NaN" : value > 0 ? "Infinity" : "-Infinity")
  }
}
