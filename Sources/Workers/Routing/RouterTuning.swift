/// The router's numbers. They were chosen with `scripts/bench router` on the seeds 1 to 20 and are reported
/// on others (docs/ROUTING.md).
package struct RouterTuning: Equatable, Sendable {
  /// Assumed of a miner that was never used, ms to the first content.
  package var unknownFirstMilliseconds = 400.0
  /// Assumed of a miner that was never used, ms between two chunks.
  package var unknownPaceMilliseconds = 30.0
  /// How fast averages of times forget, ms.
  package var decayMilliseconds = 10_000.0
  /// How many chunks' time counts beside the time to the first one.
  package var paceChunks = 5.0
  /// How fast shares of failures forget without new attempts, ms.
  package var shareDecayMilliseconds = 60_000.0
  /// How much one attempt moves a share of failures.
  package var shareWeight = 0.1
  /// The share of lost answers that is assumed of a miner before its first: synthetics show what it does.
  package var unknownLateFailures = 0.1
  /// What an answer that is lost, or wrong, is worth, ms.
  package var lossMilliseconds = 40_000.0
  /// What a failure before the first content is worth, ms: another miner is asked.
  package var retryMilliseconds = 2_000.0
  /// Miners drawn for each choice; the one with the lowest cost is asked.
  package var draws = 4
  /// The share of requests whose miner is the first one drawn.
  package var explorationShare = 0.01

  /// Requests at a time that a miner is trusted with at first.
  package var limitFirst = 4.0
  package var limitMin = 1.0
  package var limitMax = 1_024.0
  /// What a miner that has no room is still trusted with, as a share of what was under way.
  package var limitCut = 0.7

  /// Trust grows by this, divided by the root of the limit, with each good answer …
  package var growth = 0.5
  /// … while at least this share of the limit is used.
  package var growthAt = 0.5
  /// An answer that begins later than the miner's best by this factor and time waited in a queue there …
  package var queueFactor = 2.5
  package var queueMilliseconds = 50.0
  /// … and the miner is trusted with this share of what it was.
  package var queueCut = 0.95

  /// Failures in a row after which a miner is left alone.
  package var failuresMax = 3
  /// The first time out; it doubles with each further one, ms.
  package var ejectionFirstMilliseconds = 5_000
  package var ejectionMaxMilliseconds = 300_000
  /// The share of a task's trusted requests that may be out; beyond it breakers are ignored.
  package var ejectedShareMax = 0.5
  /// The time out after a 429 without Retry-After, ms.
  package var pauseMilliseconds = 1_000
  package var pauseMaxMilliseconds = 300_000

  /// Mean verdict under which a miner gets no users' requests, and above which it gets them again.
  package var quarantineBelow = 0.5
  package var readmitAbove = 0.75
  /// Verdicts before a mean says anything.
  package var verdictsMin = 2

  /// Retries as a share of requests, and beside it each second.
  package var retryShare = 0.2
  package var retriesPerSecond = 10.0
  /// Second requests for slow ones as a share of requests; 0 makes none.
  package var hedgeShare = 0.05
  package var hedgesPerSecond = 1.0
  /// The quantile of a task's time to the first content after which a second miner is asked.
  package var hedgeQuantile = 0.95
  /// No second miner is asked before this time, ms.
  package var hedgeFloorMilliseconds = 200
  /// Nor later than this: beyond it the user has waited too long in any case.
  package var hedgeCeilingMilliseconds = 1_000

  /// Miners remembered for each task.
  package var minersMax = 4_096

  package init() {}
}
