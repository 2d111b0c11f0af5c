import Common
import Foundation

/// Where the roster comes from; keeps the last good one.
@IO
public final class RosterSource {
  /// A file or a command.
  public enum Origin: Sendable, Equatable {
    /// A file, read again whenever it changes.
    case file(path: String)
    /// A command for `/bin/sh`, whose standard output is the roster, run again after so many seconds.
    case command(String, everySeconds: Int)
  }

  /// Longest run of a command.
  static let commandTimeoutMilliseconds = 20_000

  /// Pause after a run that failed.
  static let retryMilliseconds = 5_000

  private struct FileState: Equatable {
    var modified: Date?
    var size: Int?
    var inode: Int?
  }

  private let origin: Origin
  private let networks: NetworkPolicy
  private let log: Log
  private var seen: FileState?
  private var commandIsDue = Monotonic(nanoseconds: .min)
  private var lastProblem: String?
  /// The last good roster.
  public private(set) var current: Roster?
  /// How often a good roster was read: it changes when ``current`` may have changed.
  public private(set) var revision = 0

  /// A source that has read nothing yet. Miners outside of `networks` are left out.
  public init(_ origin: Origin, networks: NetworkPolicy = .any, log: Log = .shared) {
    self.origin = origin
    self.networks = networks
    self.log = log
  }

  /// Reads the roster if it changed, or if it is time to. What is wrong is logged, once for each problem,
  /// and leaves the last good roster in place.
  public func refresh() async {
    let bytes: [UInt8]
    do throws(RosterError) {
      switch origin {
      case .file(let path):
        let state = Self.state(path)
        if let seen, seen == state { return }
        // Remembered before the file is read: a change while it is read is a change.
        seen = state
        bytes = try await Self.read(path)
      case .command(let text, let seconds):
        guard commandIsDue <= Monotonic.now() else { return }
        commandIsDue = Monotonic.now().advanced(milliseconds: min(seconds * 1000, Self.retryMilliseconds))
        bytes = try await Self.output(of: text)
        commandIsDue = Monotonic.now().advanced(milliseconds: seconds * 1000)
      }
      let roster = try await OffLoop.run { [networks] () throws(RosterError) in
        try Roster(parsing: bytes, networks: networks)
      }
      current = roster
      revision += 1
      lastProblem = nil
      for error in roster.dropped {
        log.warning("miner left out of the roster", ["error": LoggedError(error)])
      }
      log.info("roster", ["miners": roster.miners.count, "left_out": roster.dropped.count])
    } catch {
      complain(error)
    }
  }

  private func complain(_ error: RosterError) {
    // A file that could not be read may be readable at the next look, without having changed.
    if error.code == .unreadable { seen = nil }
    guard !Task.isCancelled, error.description != lastProblem else { return }
    lastProblem = error.description
    if current == nil {
      log.error("no roster", ["error": LoggedError(error)])
    } else {
      log.error("wrong roster: the last good one stays", ["error": LoggedError(error)])
    }
  }

  private static func state(_ path: String) -> FileState {
    let attributes = try? FileManager.default.attributesOfItem(atPath: path)
    return FileState(
      modified: attributes?[.modificationDate] as? Date,
      size: (attributes?[.size] as? NSNumber)?.intValue,
      inode: (attributes?[.systemFileNumber] as? NSNumber)?.intValue)
  }

  private static func read(_ path: String) async throws(RosterError) -> [UInt8] {
    try await OffLoop.run { () throws(RosterError) in
      do {
        let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        defer { try? file.close() }
        // One byte more than is allowed: the parser refuses what is too large.
        return [UInt8](try file.read(upToCount: Roster.bytesMax + 1) ?? Data())
      } catch {
        throw RosterError(.unreadable, "\(path): \((error as NSError).localizedDescription)")
      }
    }
  }

  private static func output(of command: String) async throws(RosterError) -> [UInt8] {
    let result: ChildResult
    do {
      result = try await ChildProcess.run(
        ChildCommand(["/bin/sh", "-c", command]),
        limits: ChildLimits(
          stdoutMaxBytes: Roster.bytesMax, stderrMaxBytes: 1024,
          timeoutMilliseconds: commandTimeoutMilliseconds))
    } catch {
      throw RosterError(.unreadable, "the roster command: \(error)")
    }
    guard result.status.isSuccess else {
      let line = String(decoding: result.stderr, as: UTF8.self).split(separator: "\n").last ?? ""
      throw RosterError(.unreadable, "the roster command ended with \(result.status): \(line)")
    }
    return result.stdout
  }
}
