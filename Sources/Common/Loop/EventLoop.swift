import CShims
import Foundation
import Glibc
import Synchronization

/// A receiver of readiness events for one file descriptor.
public protocol ReadinessHandler: AnyObject {
  /// Called on the loop with the `EPOLL…` bits that are set.
  @IO func fileIsReady(_ events: UInt32)
}

/// The one event loop of the process: epoll, timers and the executor of ``IO``.
///
/// A turn runs the jobs that are ready, then the flush actions that they asked for (so that commands
/// issued in one turn leave in one write), then waits for events, then runs expired timers. Its cost
/// depends on what is ready, never on how many descriptors or timers are idle.
///
/// It is the executor of ``IO`` and the preferred executor of its tasks: start them
/// with ``IO/task(_:)``, so that what they wait for resumes them here.
///
/// A daemon calls ``run()`` on its main thread. Where nobody does (tests), the first job starts a
/// thread for the loop.
///
/// `@unchecked Sendable`: `inbox` and `hasOwner` are guarded by `lock`; everything else is
/// touched by the loop's own thread only, which `isOnLoop` checks.
public final class EventLoop: SerialExecutor, TaskExecutor, @unchecked Sendable {
  /// The loop of this process.
  public static let shared = EventLoop()

  private let epoll: Int32
  private let wakeup: Int32
  private let lock = NSLock()
  private var inbox: [UnownedJob] = []
  private var hasOwner = false
  /// The loop's `pthread_t`; 0 before the loop runs.
  private let thread = Atomic<UInt>(0)
  private var isStopping = false

  private var ready: [UnownedJob] = []
  private var flushes: [@IO () -> Void] = []
  let timers = TimerHeap()
  private var slots: [Slot] = []
  private var freeSlots: [Int] = []
  private var events = [epoll_event](repeating: epoll_event(), count: EventLoop.eventsMax)

  /// Most events taken from the kernel in one turn.
  static let eventsMax = 512

  private struct Slot {
    var generation: UInt32 = 0
    var handler: (any ReadinessHandler)?
  }

  /// One watched descriptor. The generation makes an event that was fetched before the descriptor was
  /// closed, and its number reused, go nowhere.
  public struct Registration: Sendable {
    let slot: Int
    let generation: UInt32
    let fd: Int32
  }

  private init() {
    epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
    wakeup = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    precondition(epoll >= 0 && wakeup >= 0, "no epoll or eventfd: raise the limit of open files")
    signal(SIGPIPE, SIG_IGN)
    let code = vision_epoll_control(epoll, EPOLL_CTL_ADD, wakeup, EPOLLIN.rawValue, UInt64.max)
    precondition(code == 0)
  }

  // MARK: executor

  /// Takes a job from any thread.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isOnLoop {
      ready.append(job)
      return
    }
    lock.lock()
    inbox.append(job)
    let startThread = !hasOwner
    if startThread { hasOwner = true }
    lock.unlock()
    if startThread { Thread.detachNewThread { self.run() } }
    wake()
  }

  /// Whether the caller runs on the loop's thread.
  public var isOnLoop: Bool { thread.load(ordering: .relaxed) == pthread_self() }

  /// Stops the process when code that belongs to ``IO`` runs elsewhere.
  public func checkIsolated() { precondition(isOnLoop, "not on the event loop") }

  /// Tells the runtime whether the current thread is the loop's.
  public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

  /// Claims the loop for a caller that will call ``run()``, before any job can start a thread for it.
  public func reserve() {
    lock.lock()
    hasOwner = true
    lock.unlock()
  }

  private func wake() {
    var one: UInt64 = 1
    _ = write(wakeup, &one, 8)
  }

  // MARK: turns

  /// Runs the loop on the calling thread until ``stop()``.
  public func run() {
    lock.lock()
    hasOwner = true
    lock.unlock()
    let previous = thread.exchange(pthread_self(), ordering: .relaxed)
    precondition(previous == 0, "the loop runs already")
    while !isStopping { turn() }
  }

  /// Ends ``run()`` after the current turn.
  @IO public func stop() { isStopping = true }

  private func turn() {
    runReadyJobs()
    runFlushes()
    let count = wait()
    for index in 0..<count { deliver(events[index]) }
    IO.assumeOnLoop { self.timers.fire(now: Monotonic.now()) }
  }

  /// Runs what was ready when the turn began; what those jobs enqueue runs in the next turn, so that
  /// a job that re-enqueues itself cannot keep I/O waiting.
  private func runReadyJobs() {
    lock.lock()
    if !inbox.isEmpty {
      ready.append(contentsOf: inbox)
      inbox.removeAll(keepingCapacity: true)
    }
    lock.unlock()
    guard !ready.isEmpty else { return }
    let batch = ready
    ready = []
    // Both at once: a continuation resumes on its task's preferred executor before it enters the actor, and
    // without a preference that is a thread of the global pool.
    for job in batch {
      job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
    }
  }

  private func runFlushes() {
    guard !flushes.isEmpty else { return }
    let batch = flushes
    flushes = []
    IO.assumeOnLoop { for flush in batch { flush() } }
  }

  private func wait() -> Int {
    var timeout: Int32 = -1
    if !ready.isEmpty || !flushes.isEmpty {
      timeout = 0
    } else if let next = timers.nextDeadline {
      let now = Monotonic.now()
      // Rounded up: a timer must not spin through turns that come a moment too early.
      timeout = next <= now ? 0 : Int32(clamping: (next.nanoseconds - now.nanoseconds + 999_999) / 1_000_000)
    }
    return Int(max(0, epoll_wait(epoll, &events, Int32(EventLoop.eventsMax), timeout)))
  }

  private func deliver(_ event: epoll_event) {
    var event = event
    let data = vision_epoll_data(&event)
    if data == UInt64.max {
      var count: UInt64 = 0
      _ = read(wakeup, &count, 8)
      return
    }
    let slot = Int(data & 0xffff_ffff)
    guard slots[slot].generation == UInt32(data >> 32), let handler = slots[slot].handler else { return }
    IO.assumeOnLoop((handler, event.events)) { $0.fileIsReady($1) }
  }

  // MARK: what code on the loop asks for

  /// Runs `action` once, after the jobs of this turn.
  @IO public func atEndOfTurn(_ action: @escaping @IO () -> Void) { flushes.append(action) }

  /// Watches `fd` for `events` (level-triggered `EPOLL…` bits). The handler is retained until
  /// ``unregister(_:)``.
  @IO public func register(_ fd: Int32, events: UInt32, handler: any ReadinessHandler) -> Registration {
    let slot: Int
    if let free = freeSlots.popLast() {
      slot = free
    } else {
      slots.append(Slot())
      slot = slots.count - 1
    }
    slots[slot].generation &+= 1
    slots[slot].handler = handler
    let registration = Registration(slot: slot, generation: slots[slot].generation, fd: fd)
    let code = vision_epoll_control(epoll, EPOLL_CTL_ADD, fd, events, registration.data)
    precondition(code == 0, "epoll refuses descriptor \(fd): \(String(cString: strerror(errno)))")
    return registration
  }

  /// Changes what a registration waits for.
  @IO public func modify(_ registration: Registration, events: UInt32) {
    guard slots[registration.slot].generation == registration.generation else { return }
    _ = vision_epoll_control(epoll, EPOLL_CTL_MOD, registration.fd, events, registration.data)
  }

  /// Forgets a registration. Call it before the descriptor is closed.
  @IO public func unregister(_ registration: Registration) {
    guard slots[registration.slot].generation == registration.generation else { return }
    _ = vision_epoll_control(epoll, EPOLL_CTL_DEL, registration.fd, 0, 0)
    slots[registration.slot].generation &+= 1
    slots[registration.slot].handler = nil
    freeSlots.append(registration.slot)
  }
}

extension EventLoop.Registration {
  /// What epoll hands back with each event: the slot below, its generation above.
  var data: UInt64 { UInt64(generation) << 32 | UInt64(slot) }
}

extension EventLoop {
  /// The descriptor can be read, or its other side closed.
  public static let readable = EPOLLIN.rawValue
  /// The descriptor takes more bytes.
  public static let writable = EPOLLOUT.rawValue
  /// The descriptor failed or hung up; reported without being asked for.
  public static let failed = EPOLLERR.rawValue | EPOLLHUP.rawValue
}
