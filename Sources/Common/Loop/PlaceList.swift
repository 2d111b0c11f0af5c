/// An object that knows its place in a ``PlaceList``. It is in one at most.
@IO
public protocol Placed: AnyObject {
  /// Kept by the list.
  var place: Int { get set }
}

/// Objects in no order. Adding and removing one costs the same however many there are. Inlinable, since a generic type
/// of another module is looked up at run time wherever it is used.
@IO
@frozen
public struct PlaceList<Element: Placed> {
  @usableFromInline var list: [Element] = []

  /// An empty list.
  @inlinable public init() {}

  /// All of them.
  @inlinable public var elements: [Element] { list }

  /// Adds one that is in no list.
  @inlinable
  public mutating func add(_ element: Element) {
    element.place = list.count
    list.append(element)
  }

  /// Takes one out. Returns whether it was there.
  @discardableResult
  @inlinable
  public mutating func remove(_ element: Element) -> Bool {
    let place = element.place
    guard list.indices.contains(place), list[place] === element else { return false }
    let last = list.removeLast()
    if last !== element {
      last.place = place
      list[place] = last
    }
    return true
  }
}
