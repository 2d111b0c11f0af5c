/// What a worker knows of its fence: while it stands in Redis as it is known here, nobody took a job with content from
/// the worker, and every call that the worker made was carried out, in order. `append.lua` has the rules.
public struct AppendFence: Sendable {
  /// One call, between two states of the fence.
  public struct Step: Sendable {
    /// The worker's id.
    public let worker: String
    /// Replies with a piece that was written in this generation are not looked at again.
    public let generation: Int
    /// The number of the call in its generation; the first one opens it.
    fileprivate let call: Int

    /// Whether all pieces of the call are looked at.
    public var opens: Bool { call == 0 }
  }

  private let worker: String
  private var generation = 0
  private var calls = 0

  /// The fence of a worker that has not written yet.
  public init(worker: String) { self.worker = worker }

  /// The next call.
  public mutating func advance() -> Step {
    guard generation > 0 else { return open() }
    calls += 1
    return Step(worker: worker, generation: generation, call: calls)
  }

  /// A call that opens a new generation, after one that was answered with ``AppendResult/closed``.
  public mutating func open() -> Step {
    generation += 1
    calls = 0
    return Step(worker: worker, generation: generation, call: 0)
  }
}

/// What became of a call that appends pieces.
public enum AppendResult: Sendable, Equatable {
  /// The fence stands otherwise: nothing was written, and all pieces have to be looked at.
  case closed
  /// Why pieces were not taken, by their index; all others are written.
  case written(refused: [Int: LeaseResult])
}

extension RedisCommand {
  /// The fence before a call and after it.
  mutating func add(_ step: AppendFence.Step) {
    add(step.worker)
    if step.opens { add("") } else { add(fence: step.generation, step.call - 1) }
    add(fence: step.generation, step.call)
  }

  private mutating func add(fence generation: Int, _ call: Int) {
    var text: [UInt8] = []
    text.reserveCapacity(40)
    text.appendDecimal(generation)
    text.append(UInt8(ascii: "."))
    text.appendDecimal(call)
    add(text)
  }
}
