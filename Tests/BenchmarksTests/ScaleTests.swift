import Testing

@testable import vision_bench

@Suite("Many workers at one Redis, computed")
struct ScaleTests {
  let model = ScaleModel(workerMicroseconds: 20, redisMicroseconds: 10)

  @Test("Redis works as long as the items that come need")
  func one() {
    let result = model.run(workers: 4, perSecond: 5_000, seed: 1)
    #expect(abs(result.redisShare - 0.2) < 0.02)
    #expect(result.share > 0.99)
    #expect(result.callMilliseconds >= 0.2)
  }

  @Test("all that comes is done until Redis has no time left, and calls wait longer and longer before")
  func saturation() {
    let rate = model.rate(workers: 32, redisShare: 0.7)
    var slowest = 0.0
    for count in [1, 8, 32] {
      let result = model.run(workers: count, perSecond: rate, seed: 2)
      #expect(result.share > 0.98)
      #expect(abs(result.redisShare - 0.7 * Double(count) / 32) < 0.03)
      #expect(result.callMilliseconds > slowest)
      slowest = result.callMilliseconds
    }
    let full = model.run(workers: 64, perSecond: rate, seed: 2)
    #expect(full.redisShare > 0.98)
    #expect(full.share < 0.75)
  }

  @Test("equal seeds give equal results")
  func reproducible() {
    #expect(
      model.run(workers: 5, perSecond: 900, seed: 9) == model.run(workers: 5, perSecond: 900, seed: 9))
    #expect(
      model.run(workers: 5, perSecond: 900, seed: 9) != model.run(workers: 5, perSecond: 900, seed: 10))
  }
}
