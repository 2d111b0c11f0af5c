import Glibc
import Testing

@testable import Common

@Suite("The event loop")
struct EventLoopTests {
  @Test("runs @IO code on one thread, whoever starts it")
  func isolation() async {
    let threads = await withTaskGroup(of: UInt.self) { group in
      for _ in 0..<100 { group.addTask { @IO in pthread_self() } }
      return await group.reduce(into: Set<UInt>()) { $0.insert($1) }
    }
    #expect(threads.count == 1)
  }

  @Test("fires timers in the order of their deadlines, equal ones as set, cancelled ones never")
  @IO func timerOrder() async {
    var fired: [Int] = []
    let done = Signal()
    let base = Monotonic.now().advanced(milliseconds: 5)
    var cancelled: [LoopTimer] = []
    for number in 0..<200 {
      let deadline = base.advanced(milliseconds: number % 3)
      cancelled.append(EventLoop.shared.at(deadline) { fired.append(-1) })
      _ = EventLoop.shared.at(deadline) { fired.append(number) }
    }
    for timer in cancelled { timer.cancel() }
    _ = EventLoop.shared.at(base.advanced(milliseconds: 3)) { done.fire() }
    await done.wait()
    let expected = (0..<3).flatMap { rest in (0..<200).filter { $0 % 3 == rest } }
    #expect(fired == expected)
  }

  @Test("a cancelled task stops waiting for a signal")
  @IO func cancelledWait() async {
    let never = Signal()
    let task = Task { @IO in await never.wait() }
    await Task.yield()
    task.cancel()
    await task.value
    #expect(!never.isFired)
  }

  @Test("an event of a closed descriptor does not reach the one that reuses its number")
  @IO func staleEvents() async {
    let pair = PipePair()
    let loop = EventLoop.shared
    for end in [1, 3] { _ = write(pair.pipes[end], "x", 1) }
    pair.registrations = [
      loop.register(pair.pipes[0], events: EventLoop.readable, handler: pair),
      loop.register(pair.pipes[2], events: EventLoop.readable, handler: pair),
    ]
    await pair.done.wait()
    await loop.sleep(milliseconds: 1)
    #expect(pair.delivered == 1)
    for end in pair.pipes { close(end) }
  }
}

/// Two pipes that are readable in one batch; the first event unregisters both.
@IO private final class PipePair: ReadinessHandler {
  var pipes: [Int32] = [0, 0, 0, 0]
  var registrations: [EventLoop.Registration] = []
  var delivered = 0
  let done = Signal()

  init() {
    pipes.withUnsafeMutableBufferPointer {
      _ = pipe($0.baseAddress!)
      _ = pipe($0.baseAddress! + 2)
    }
  }

  func fileIsReady(_ events: UInt32) {
    delivered += 1
    for registration in registrations { EventLoop.shared.unregister(registration) }
    done.fire()
  }
}
