/// Publishes the functions that gateways call, when a program begins.
public enum GatewayDoor {
  /// Makes sure that the functions are there. What goes wrong is logged and stops nobody: without them
  /// gateways wait, and everything else works. A user that may not publish them, as the role of workers,
  /// leaves it to one that may.
  @IO public static func open(_ redis: RedisClient, log: Log = .shared) async {
    do throws(RedisError) {
      switch try await FunctionLibrary.install(on: redis) {
      case .loaded: log.info("functions for gateways published", ["library": FunctionLibrary.name])
      case .present: break
      case .differs:
        log.error(
          "another function library has this name and was left alone; see docs/GATEWAY.md",
          ["library": FunctionLibrary.name])
      }
    } catch {
      guard error.code != .notPermitted else { return }
      log.warning("functions for gateways cannot be published", ["error": LoggedError(error)])
    }
  }
}
