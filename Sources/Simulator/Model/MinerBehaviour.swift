import Common

/// How a miner behaves. All but `honest` cheat or fail in one way, in a share of their answers
/// (``MinerBehaviour/faultShare``).
enum BehaviourKind: String, CaseIterable {
  /// Does what it claims, as well as its quality allows.
  case honest
  /// Answers at once: wrong words, broken JSON, or a web page.
  case garbage
  /// Claims capacity and answers 429 to everything.
  case alwaysRateLimited = "always-429"
  /// Has room for many and answers 429 as soon as one request runs.
  case rateLimitsWhenBusy = "429-when-busy"
  /// Sends about one token a second; pictures take thirty times as long.
  case slowDrip = "slow-drip"
  /// Closes the connection in the middle of the answer.
  case truncates
  /// Its port takes no connection.
  case refuses
  /// Stops in the middle of the answer and keeps the connection open.
  case stalls
  /// Ends the stream with an error event after a third of the tokens.
  case inBandError = "in-band-error"
  /// Leaves out the log probabilities that were asked for.
  case noLogprobs = "no-logprobs"
  /// Answers HTTP 500.
  case serverErrors = "http-500"
  /// Claims twice what its hardware can do.
  case claimsDouble = "claims-x2"
  /// Claims five times what its hardware can do.
  case claimsFivefold = "claims-x5"
  /// Claims ten times what its hardware can do.
  case claimsTenfold = "claims-x10"

  /// What the claim is multiplied with.
  var claimFactor: Double {
    switch self {
    case .claimsDouble: return 2
    case .claimsFivefold: return 5
    case .claimsTenfold: return 10
    default: return 1
    }
  }

  /// Whether an answer with this behaviour's fault is of no use to anybody.
  var faultIsUseless: Bool {
    switch self {
    case .honest, .claimsDouble, .claimsFivefold, .claimsTenfold, .rateLimitsWhenBusy: return false
    default: return true
    }
  }
}

/// How a miner writes its streams; honest miners differ in it.
struct StreamDialect: Equatable {
  /// A first chunk with the role only, and a last one with the finish reason only, as vLLM writes them.
  var framesWithEmptyChunks = false
  /// Ends with `data: [DONE]`.
  var sendsDone = false
  /// Cuts its writes inside characters of several bytes.
  var splitsCharacters = false
}

/// What a miner's hardware can do for one task.
struct TaskHardware: Equatable {
  /// Sustained, over all requests: characters / 4, steps or embeddings per second.
  var volumePerSecond: Double
  /// Of one request: tokens, steps or embeddings per second.
  var unitsPerSecond: Double
  /// To the first token, or added to every picture.
  var firstMilliseconds: Int
  /// Requests at a time; more are answered with 429.
  var inFlightMax: Int
}

/// Everything that decides what a miner answers. Equal behaviours answer equal requests with equal bytes.
struct MinerBehaviour {
  var hotkey: String
  var uid: Int
  var kind = BehaviourKind.honest
  /// The hotkey of the honest miner with the same hardware; nil for honest ones.
  var twinOf: String?
  var seed: UInt64
  /// The probability that a token or pixel is right, 0 to 1.
  var quality: Double
  /// In which share of its answers the fault of its kind shows, 0 to 1.
  var faultShare = 1.0
  var dialect = StreamDialect()
  /// By task name. Tasks that are not here are not served.
  var hardware: [String: TaskHardware]
  /// The length of the profile's period, which claims refer to, in seconds.
  var profilePeriodSeconds: Int
  /// `text` or `image` where the profile wants a type; nil where it does not.
  var minerType: String?

  /// What the hardware can do in one profile period.
  func honestClaim(task: String) -> Double {
    let volume = (hardware[task]?.volumePerSecond ?? 0) * Double(profilePeriodSeconds)
    return (volume * 100).rounded() / 100
  }

  /// What the miner says that it can do in one profile period.
  func claim(task: String) -> Double { honestClaim(task: task) * kind.claimFactor }

  /// The generator of everything random in the answer to the request with `body`.
  func random(for body: [UInt8]) -> SeededRandom {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in body { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
    return SeededRandom(seed: seed ^ hash, hotkey)
  }
}
