import Common

/// A period's queries in the order in which they are due, cut into chunks that are scheduled one by one.
struct Plan: Sendable, Equatable {
  /// Most volumes, and most queries, of one chunk: a script must not hold Redis up.
  static let chunkMax = 100

  /// One query: 16 bytes, since a period may have two millions.
  struct Query: Sendable, Hashable, Comparable {
    private let offsetMilliseconds: UInt32
    private let numberInPair: UInt32
    private let minerIndex: UInt16
    private let taskIndex: UInt16

    /// After the period's start, in milliseconds.
    var offset: Int { Int(offsetMilliseconds) }
    var task: Int { Int(taskIndex) }
    var miner: Int { Int(minerIndex) }
    var number: Int { Int(numberInPair) }

    init(offset: Int, task: Int, miner: Int, number: Int) {
      offsetMilliseconds = UInt32(offset)
      numberInPair = UInt32(number)
      minerIndex = UInt16(miner)
      taskIndex = UInt16(task)
    }

    /// By due time; what is due together has an order too, so that chunks are the same every time.
    static func < (left: Query, right: Query) -> Bool {
      (left.offsetMilliseconds, left.taskIndex, left.minerIndex, left.numberInPair)
        < (right.offsetMilliseconds, right.taskIndex, right.minerIndex, right.numberInPair)
    }
  }

  /// The test volume of one miner and task.
  struct Volume: Sendable, Hashable {
    var task: Int
    var miner: Int
    /// Thousandths of a unit of volume.
    var milli: Int
  }

  /// What one call of the `schedule` script adds.
  struct Chunk: Equatable {
    var isLast: Bool
    /// Fields of the period's volumes, with thousandths of a unit.
    var volumes: [(String, Int)]
    /// Due times (Unix ms) and job ids, earliest first.
    var jobs: [(dueMilliseconds: Int, id: String)]

    static func == (left: Chunk, right: Chunk) -> Bool {
      left.isLast == right.isLast && left.volumes.elementsEqual(right.volumes, by: ==)
        && left.jobs.elementsEqual(right.jobs, by: ==)
    }
  }

  let period: PeriodID
  let startMilliseconds: Int
  let taskNames: [String]
  let volumes: [Volume]
  let queries: [Query]

  /// All volumes come before the first query: a query is never claimed without its miner's limit.
  var chunkCount: Int { volumeChunks + Self.pieces(queries.count) }

  private var volumeChunks: Int { Self.pieces(volumes.count) }

  private static func pieces(_ count: Int) -> Int { (count + chunkMax - 1) / chunkMax }

  /// The chunk with the given number. Precondition: it is one of the plan.
  func chunk(_ number: Int) -> Chunk {
    precondition((0..<chunkCount).contains(number))
    var chunk = Chunk(isLast: number == chunkCount - 1, volumes: [], jobs: [])
    if number < volumeChunks {
      chunk.volumes = Self.slice(volumes, number).map {
        ("test:\(taskNames[$0.task]):\($0.miner)", $0.milli)
      }
    } else {
      chunk.jobs = Self.slice(queries, number - volumeChunks).map { query in
        let job = SyntheticJob(
          period: period, task: taskNames[query.task], miner: query.miner, number: query.number)
        return (startMilliseconds + query.offset, job.description)
      }
    }
    return chunk
  }

  private static func slice<T>(_ all: [T], _ piece: Int) -> ArraySlice<T> {
    all[(piece * chunkMax)..<min(all.count, (piece + 1) * chunkMax)]
  }
}
