import Common

/// Takes a role that only one worker may have at a time, and keeps it while it runs.
///
/// The role is trusted until the end of its life as counted from before the last request that took or
/// renewed it: Redis forgets it later than that, so there are never two who trust it.
@IO
final class RoleKeeper {
  private let queue: JobQueue
  private let role: String
  private let token: String
  private let lifeMilliseconds: Int
  private var trustedUntil = Monotonic(nanoseconds: 0)
  private var timer: LoopTimer?
  private var wasHeld = false
  /// Called when the role was taken (true) and when it was lost (false).
  var onChange: (Bool) -> Void = { _ in }

  init(queue: JobQueue, role: String, token: String, lifeMilliseconds: Int) {
    self.queue = queue
    self.role = role
    self.token = token
    self.lifeMilliseconds = lifeMilliseconds
  }

  /// Whether the role is ours now.
  var isHeld: Bool { Monotonic.now() < trustedUntil }

  /// Takes the role whenever it is free, renews it, and gives it back when `stopped` fires.
  func run(until stopped: Signal) async {
    while !stopped.isFired {
      await renew()
      await Pause.wait(milliseconds: max(1, lifeMilliseconds / 3), orUntil: stopped)
    }
    guard wasHeld else { return }
    trustedUntil = Monotonic(nanoseconds: 0)
    tell()
    _ = try? await queue.lead(role: role, token: token, lifeMilliseconds: 0)
  }

  private func renew() async {
    let asked = Monotonic.now()
    do throws(RedisError) {
      let isHeld = try await queue.lead(role: role, token: token, lifeMilliseconds: lifeMilliseconds)
      trustedUntil = isHeld ? asked.advanced(milliseconds: lifeMilliseconds) : Monotonic(nanoseconds: 0)
    } catch {
      Log.shared.warning("role cannot be renewed", ["role": role, "error": LoggedError(error)])
    }
    tell()
  }

  /// Tells a change, and looks again when the trust ends.
  private func tell() {
    timer?.cancel()
    timer = isHeld ? EventLoop.shared.at(trustedUntil) { [weak self] in self?.tell() } : nil
    guard isHeld != wasHeld else { return }
    wasHeld = isHeld
    onChange(isHeld)
  }
}
