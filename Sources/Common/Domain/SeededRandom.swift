/// A reproducible generator (SplitMix64, Steele, Lea and Flood 2014). Equal seeds give equal sequences
/// on every machine and in every version. Not for secrets' sake: the seed is the secret.
public struct SeededRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  /// A generator that starts at `seed`.
  public init(seed: UInt64) { state = seed }

  /// A generator for one named part of a larger draw, so that adding a part changes no other part.
  /// The parts are hashed with FNV-1a, length first, so that ("ab", "c") and ("a", "bc") differ.
  public init(seed: UInt64, _ part: String, _ others: String...) {
    state = 0xcbf2_9ce4_8422_2325 ^ seed
    mix(part)
    for other in others { mix(other) }
  }

  private mutating func mix(_ part: String) {
    var part = part
    part.withUTF8 { bytes in
      state = (state ^ UInt64(UInt8(truncatingIfNeeded: bytes.count))) &* 0x100_0000_01b3
      for byte in bytes { state = (state ^ UInt64(byte)) &* 0x100_0000_01b3 }
    }
  }

  /// The next 64 random bits.
  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
  }

  /// A uniform draw in [0, 1).
  public mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }

  /// A uniform draw in [0, count). Precondition: `count > 0`.
  public mutating func below(_ count: Int) -> Int {
    Int.random(in: 0..<count, using: &self)
  }
}
