import TestSupport

@testable import Common

/// Connections of the roles, shared by all sequences of the model test.
@IO
final class ModelClients {
  let worker: RedisClient
  let producer: RedisClient
  let aggregator: RedisClient
  let `operator`: RedisClient

  init() throws {
    worker = try TestRedis.client(as: .worker)
    producer = try TestRedis.client(as: .producer)
    aggregator = try TestRedis.client(as: .aggregator)
    `operator` = try TestRedis.client(as: .operator)
  }

  func close() {
    for client in [worker, producer, aggregator, `operator`] { client.close() }
  }
}
