import Glibc
import Testing

@testable import Common

@Suite("A signal source")
struct SignalSourceTests {
  @Test("hands over signals on the loop until it is closed")
  @IO func receives() async {
    // Sent to the loop's thread alone, where they are blocked: the other threads of a test run never see them.
    SignalSource.block([SIGUSR1, SIGUSR2])
    var received: [Int32] = []
    let both = Signal()
    let source = SignalSource([SIGUSR1, SIGUSR2]) { signal in
      #expect(EventLoop.shared.isOnLoop)
      received.append(signal)
      if received.count == 2 { both.fire() }
    }
    pthread_kill(pthread_self(), SIGUSR1)
    pthread_kill(pthread_self(), SIGUSR2)
    await both.wait()
    #expect(received == [SIGUSR1, SIGUSR2])

    source.close()
    pthread_kill(pthread_self(), SIGUSR1)
    await EventLoop.shared.sleep(milliseconds: 1)
    #expect(received.count == 2)
    // Taken back, so that it does not stay pending on the thread.
    var mask = sigset_t()
    sigemptyset(&mask)
    sigaddset(&mask, SIGUSR1)
    var now = timespec()
    #expect(sigtimedwait(&mask, nil, &now) == SIGUSR1)
  }
}
