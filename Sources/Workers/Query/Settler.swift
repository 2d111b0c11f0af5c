import Common

/// Ends jobs in Redis: what one turn of the loop finished leaves in one call.
@IO
package final class Settler {
  /// Most jobs of one call.
  static let batchMax = 50
  /// Most calls on their way at once.
  static let callsMax = 4

  private struct Waiting {
    let settlement: Settlement
    let ended: (LeaseResult) -> Void
  }

  private let queue: JobQueue
  private var waiting: [Waiting] = []
  private var isFlushQueued = false
  private var calls = 0

  package init(queue: JobQueue) { self.queue = queue }

  /// Ends a job. `ended` is called once Redis took it, with `lost` when the job is no longer ours, also when Redis
  /// could not be reached for so long that its lease ran out.
  package func settle(_ settlement: Settlement, ended: @escaping (LeaseResult) -> Void) {
    waiting.append(Waiting(settlement: settlement, ended: ended))
    queueFlush()
  }

  /// The same, for whoever waits.
  func settle(_ settlement: Settlement) async -> LeaseResult {
    await withUnsafeContinuation { continuation in
      settle(settlement) { continuation.resume(returning: $0) }
    }
  }

  private func queueFlush() {
    guard !isFlushQueued, calls < Settler.callsMax, !waiting.isEmpty else { return }
    isFlushQueued = true
    EventLoop.shared.atEndOfTurn {
      self.isFlushQueued = false
      let batch = Array(self.waiting.prefix(Settler.batchMax))
      guard !batch.isEmpty else { return }
      self.waiting.removeFirst(batch.count)
      self.calls += 1
      IO.task { @IO in
        await self.send(batch)
        self.calls -= 1
        self.queueFlush()
      }
      self.queueFlush()
    }
  }

  private func send(_ batch: [Waiting]) async {
    do throws(RedisError) {
      let results = try await queue.settle(batch.map(\.settlement))
      for (item, result) in zip(batch, results) { item.ended(result) }
    } catch {
      if error.code == .server, batch.count > 1 {
        // One of them is bad: alone, it cannot hold the others up.
        for item in batch { await send([item]) }
        return
      }
      Log.shared.warning("jobs cannot be settled", ["jobs": batch.count, "error": LoggedError(error)])
      for item in batch { item.ended(.lost) }
    }
  }
}
