/// A timer of the event loop. Keep it to cancel it; the loop keeps it until it fires.
public final class LoopTimer {
  let deadline: Monotonic
  let order: Int
  fileprivate var action: (@IO () -> Void)?
  fileprivate unowned(unsafe) let heap: TimerHeap

  fileprivate init(deadline: Monotonic, order: Int, heap: TimerHeap, action: @escaping @IO () -> Void) {
    self.deadline = deadline
    self.order = order
    self.heap = heap
    self.action = action
  }

  /// Takes the timer back. Without effect once it fired.
  @IO public func cancel() {
    guard action != nil else { return }
    action = nil
    heap.cancelledOne()
  }

  fileprivate static func isBefore(_ left: LoopTimer, _ right: LoopTimer) -> Bool {
    left.deadline == right.deadline ? left.order < right.order : left.deadline < right.deadline
  }
}

/// A binary heap of timers; equal deadlines fire in the order in which they were set. A cancelled timer
/// stays in the heap as an empty shell until it surfaces, or until shells are more than half of it.
final class TimerHeap {
  private var items: [LoopTimer] = []
  private var nextOrder = 0
  private var cancelledCount = 0

  /// When the next timer fires; nil when none is set.
  var nextDeadline: Monotonic? { items.first?.deadline }
  /// Timers held, cancelled ones included.
  var count: Int { items.count }

  func add(_ deadline: Monotonic, action: @escaping @IO () -> Void) -> LoopTimer {
    nextOrder += 1
    let timer = LoopTimer(deadline: deadline, order: nextOrder, heap: self, action: action)
    items.append(timer)
    siftUp(items.count - 1)
    return timer
  }

  /// Fires what is due at `now`. Timers set by the actions wait for the next turn, even when due.
  @IO func fire(now: Monotonic) {
    let last = nextOrder
    while let first = items.first, first.deadline <= now, first.order <= last {
      removeFirst()
      if let action = first.action {
        first.action = nil
        action()
      } else {
        cancelledCount -= 1
      }
    }
  }

  fileprivate func cancelledOne() {
    cancelledCount += 1
    guard cancelledCount > 64, cancelledCount * 2 > items.count else { return }
    items = items.filter { $0.action != nil }.sorted(by: LoopTimer.isBefore)
    cancelledCount = 0
  }

  private func removeFirst() {
    let last = items.removeLast()
    guard !items.isEmpty else { return }
    items[0] = last
    siftDown()
  }

  private func siftUp(_ start: Int) {
    var child = start
    while child > 0 {
      let parent = (child - 1) / 2
      guard LoopTimer.isBefore(items[child], items[parent]) else { return }
      items.swapAt(child, parent)
      child = parent
    }
  }

  private func siftDown() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < items.count && LoopTimer.isBefore(items[child], items[least]) {
        least = child
      }
      guard least != parent else { return }
      items.swapAt(parent, least)
      parent = least
    }
  }
}
