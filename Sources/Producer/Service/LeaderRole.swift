import Common

/// The producer's single role: a lease in Redis that is shown with every write.
///
/// Redis decides who leads, by the token in each script; what is known here only avoids useless work. So
/// the role counts as held for `life - margin` after the moment at which its last renewal was *asked for*:
/// until then nobody else can have taken it.
@IO
final class LeaderRole {
  /// How long the lease lives without a renewal.
  static let lifeMilliseconds = 10_000
  /// How often it is renewed.
  static let renewalMilliseconds = 3_000
  private static let marginMilliseconds = 1_000
  private static let name = "producer"

  /// Proof of the role; never reused, so that a producer that comes back is not taken for its former self.
  let token: String
  private let queue: JobQueue
  private var trustedUntil = Monotonic(nanoseconds: .min)

  init(queue: JobQueue) {
    self.queue = queue
    var system = SystemRandomNumberGenerator()
    token = [system.next(), system.next()].map { word in
      let digits = String(word, radix: 16)
      return String(repeating: "0", count: 16 - digits.count) + digits
    }.joined()
  }

  /// Whether nobody else can hold the role.
  var isHeld: Bool { Monotonic.now() < trustedUntil }

  /// Takes the role if it is free, or keeps it. Returns whether it is held.
  @discardableResult
  func renew() async throws(RedisError) -> Bool {
    let asked = Monotonic.now()
    if try await queue.lead(role: Self.name, token: token, lifeMilliseconds: Self.lifeMilliseconds) {
      trustedUntil = asked.advanced(milliseconds: Self.lifeMilliseconds - Self.marginMilliseconds)
    } else {
      lost()
    }
    return isHeld
  }

  /// A script refused the token: somebody else leads.
  func lost() { trustedUntil = Monotonic(nanoseconds: .min) }

  /// Lets another producer take over at once.
  func giveBack() async throws(RedisError) {
    lost()
    _ = try await queue.lead(role: Self.name, token: token, lifeMilliseconds: 0)
  }
}
