import Common
import Foundation

/// The faults that a demo can show.
enum DemoFaults {
  /// Carries out what the settings ask for.
  @IO static func run(_ settings: Settings, _ stack: DemoStack) async {
    let kill = settings.int("kill-worker-after")
    if kill > 0 {
      await EventLoop.shared.sleep(milliseconds: kill * 1000)
      if !Task.isCancelled, let victim = stack.running("worker-").first {
        stack.expectDeath(of: victim)
        victim.signal(SIGKILL)
        print("\na query worker was killed")
      }
    }
    let stop = settings.int("stop-redis-after")
    if stop > 0, stack.ownsRedis {
      await EventLoop.shared.sleep(milliseconds: max(0, stop - kill) * 1000)
      guard !Task.isCancelled, let redis = stack.running("redis").first else { return }
      stack.expectDeath(of: redis)
      _ = await redis.terminate(graceMilliseconds: 2_000)
      print("\nRedis was stopped")
      await EventLoop.shared.sleep(milliseconds: 5_000)
      try? stack.spawnRedis()
      print("\nRedis was started again")
    }
  }
}
