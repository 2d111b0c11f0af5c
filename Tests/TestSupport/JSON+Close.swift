import Common

extension JSON {
  /// Whether two values are equal, numbers within a relative difference.
  public func isClose(to other: JSON, tolerance: Double) -> Bool {
    switch (self, other) {
    case (.array(let left), .array(let right)):
      return left.count == right.count
        && zip(left, right).allSatisfy { $0.isClose(to: $1, tolerance: tolerance) }
    case (.object(let left), .object(let right)):
      return left.count == right.count
        && left.allSatisfy { right[$0.key]?.isClose(to: $0.value, tolerance: tolerance) ?? false }
    default:
      guard let left = double, let right = other.double else { return self == other }
      return left == right || abs(left - right) <= tolerance * max(abs(left), abs(right))
    }
  }
}
