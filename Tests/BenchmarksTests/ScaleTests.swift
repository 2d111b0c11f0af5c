import Testing

@testable import vision_bench

@Suite("Many workers at one Redis, computed")
struct ScaleTests {
  let model = ScaleModel(workerMicroseconds: 40, redisMicroseconds: 4)

  @Test("one worker does what its core can do")
  func one() {
    let result = model.run(workers: 1, seed: 1)
    #expect(abs(result.perSecond - 25_000) < 500)
    #expect(abs(result.redisShare - 0.1) < 0.01)
  }

  @Test("it grows with the workers until Redis has no time left, and never beyond")
  func growth() {
    let one = model.run(workers: 1, seed: 2).perSecond
    #expect(model.workers(atRedisShare: 0.7) == 7)
    #expect(model.run(workers: 7, seed: 2).perSecond > 6.8 * one)
    for count in [16, 64] {
      let result = model.run(workers: count, seed: 2)
      #expect(result.perSecond <= 250_000 && result.perSecond > 245_000)
      #expect(result.redisShare > 0.98)
    }
  }

  @Test("equal seeds give equal results")
  func reproducible() {
    #expect(model.run(workers: 5, seed: 9) == model.run(workers: 5, seed: 9))
    #expect(model.run(workers: 5, seed: 9) != model.run(workers: 5, seed: 10))
  }
}
