/// What a miner's hardware has left to give, in units of volume. It fills at the rate of the hardware; a
/// request is admitted while anything is left and takes its whole volume, if need be into debt, so that
/// over time no more is admitted than the hardware can do and yet no single request is too large.
struct CapacityBucket {
  /// How many seconds of unused capacity may be saved up.
  static let savedSeconds = 60.0

  let volumePerSecond: Double
  private var level: Double
  private var updatedMilliseconds: Int

  /// A full bucket.
  init(volumePerSecond: Double, nowMilliseconds: Int) {
    self.volumePerSecond = volumePerSecond
    level = volumePerSecond * CapacityBucket.savedSeconds
    updatedMilliseconds = nowMilliseconds
  }

  /// Whether a request of `volume` is admitted at `nowMilliseconds`; it is charged if so.
  mutating func admit(volume: Double, nowMilliseconds: Int) -> Bool {
    let elapsed = Double(max(0, nowMilliseconds - updatedMilliseconds)) / 1000
    let full = volumePerSecond * CapacityBucket.savedSeconds
    level = min(full, level + elapsed * volumePerSecond)
    updatedMilliseconds = max(updatedMilliseconds, nowMilliseconds)
    guard level > 0 else { return false }
    level -= volume
    return true
  }
}
