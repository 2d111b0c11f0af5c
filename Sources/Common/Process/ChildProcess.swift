import CShims
import Foundation
import Glibc

/// What to start.
public struct ChildCommand: Sendable {
  /// The program, looked up in `PATH` unless it holds a slash, and its arguments.
  public var arguments: [String]
  /// The whole environment.
  public var environment: [String: String]
  /// Where it starts; nil for where this process is.
  public var folder: String?

  /// A command with the environment of this process, changed by `adding`.
  public init(_ arguments: [String], adding: [String: String] = [:], folder: String? = nil) {
    precondition(!arguments.isEmpty, "a command without a program")
    self.arguments = arguments
    environment = ProcessInfo.processInfo.environment.merging(adding) { $1 }
    self.folder = folder
  }
}

/// How a process ended.
public enum ExitStatus: Sendable, Equatable, CustomStringConvertible {
  /// With this code.
  case exited(Int32)
  /// By this signal.
  case signalled(Int32)

  /// Whether it ended with code 0.
  public var isSuccess: Bool { self == .exited(0) }

  /// `exit code 1`, or `signal 9`.
  public var description: String {
    switch self {
    case .exited(let code): "exit code \(code)"
    case .signalled(let signal): "signal \(signal)"
    }
  }

  /// As `wait(2)` packs it.
  init(waitStatus: Int32) {
    let signal = waitStatus & 0x7f
    self = signal == 0 ? .exited((waitStatus >> 8) & 0xff) : .signalled(signal)
  }
}

/// Why a command gave no result.
public struct ChildError: Error, Equatable, CustomStringConvertible {
  /// The kinds of failure.
  public enum Code: Sendable {
    /// The program does not exist, must not be run, or the system has no room for it.
    case notStarted
    /// It ran longer than it was given, and was killed with all that it started.
    case timedOut
    /// It wrote more than it was given room for, and was killed.
    case outputTooLarge
    /// The task that ran it was cancelled, and it was killed.
    case cancelled
  }

  /// The kind of failure.
  public let code: Code
  /// One line for people, with the program's name.
  public let description: String

  init(_ code: Code, _ command: ChildCommand, _ reason: String) {
    self.code = code
    description = "\(TextEscape.shown(command.arguments[0], maxBytes: 300)): \(reason)"
  }
}

/// A running program.
///
/// It leads a process group of its own, so that it ends together with what it started, and a Ctrl-C in
/// the terminal does not reach it. It dies with this process, even when that is killed. Its end is seen,
/// and the system's entry for it removed, without anybody asking; the loop retains it until then.
@IO
public final class ChildProcess: ReadinessHandler {
  /// Where what a program writes goes.
  public enum Output: Sendable {
    /// To where this process writes.
    case inherited
    /// Nowhere.
    case discarded
    /// To the end of this file, which is made if it is missing.
    case file(String)
    /// To a descriptor, which the caller closes after the start.
    case descriptor(Int32)
  }

  /// Its process id, which is also the id of its process group.
  public nonisolated let pid: Int32
  /// Fires when it ended.
  public nonisolated let exited = Signal()
  /// How it ended; nil while it runs.
  public private(set) var status: ExitStatus?

  private let pidfd: Int32
  private var registration: EventLoop.Registration?

  /// Starts a program that reads nothing, or what `input` gives.
  /// - Throws: `.notStarted` with the system's reason.
  public init(
    _ command: ChildCommand, input: Int32? = nil, stdout: Output = .inherited, stderr: Output = .inherited
  ) throws(ChildError) {
    var opened: [Int32] = []
    defer { for fd in opened { close(fd) } }
    func descriptor(_ output: Output, inherited: Int32) throws(ChildError) -> Int32 {
      let path: String
      switch output {
      case .inherited: return inherited
      case .descriptor(let fd): return fd
      case .discarded: path = "/dev/null"
      case .file(let name): path = name
      }
      let fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o644)
      guard fd >= 0 else {
        throw ChildError(.notStarted, command, "cannot write \(path): \(String(cString: strerror(errno)))")
      }
      opened.append(fd)
      return fd
    }
    let read: Int32
    if let input { read = input } else { read = try descriptor(.discarded, inherited: 0) }
    let written = try descriptor(stdout, inherited: 1)
    let complained = try descriptor(stderr, inherited: 2)
    let fds = [read, written, complained]
    pid = try Self.spawn(command, fds)
    pidfd = vision_pidfd_open(pid)
    guard pidfd >= 0 else {
      let reason = String(cString: strerror(errno))
      kill(-pid, SIGKILL)
      waitpid(pid, nil, 0)
      throw ChildError(.notStarted, command, "cannot be watched: \(reason)")
    }
    registration = EventLoop.shared.register(pidfd, events: EventLoop.readable, handler: self)
  }

  /// Sends a signal to the program and to all that it started and that stayed in its group.
  public func signal(_ number: Int32) {
    // Once its entry is removed, the number may belong to a stranger.
    guard status == nil else { return }
    kill(-pid, number)
  }

  /// Waits for its end; nil if the waiting task is cancelled first.
  public func waitForExit() async -> ExitStatus? {
    await exited.wait()
    return status
  }

  /// Asks it to end (SIGTERM), and after `graceMilliseconds` makes it (SIGKILL). Cancelling the task
  /// does not shorten the wait.
  @discardableResult
  public func terminate(graceMilliseconds: Int) async -> ExitStatus {
    signal(SIGTERM)
    let timer = EventLoop.shared.after(milliseconds: graceMilliseconds) { [self] in signal(SIGKILL) }
    defer { timer.cancel() }
    return await exitStatus()
  }

  /// Its end, whatever happens to the waiting task.
  func exitStatus() async -> ExitStatus {
    await IO.task { @IO in await self.exited.wait() }.value
    guard let status else { preconditionFailure("exited without a status") }
    return status
  }

  /// The program ended.
  public func fileIsReady(_ events: UInt32) {
    guard let registration else { return }
    // What it left behind goes first, while its own entry still holds the group's number.
    kill(-pid, SIGKILL)
    var packed: Int32 = 0
    guard waitpid(pid, &packed, WNOHANG) == pid else { return }
    self.registration = nil
    EventLoop.shared.unregister(registration)
    close(pidfd)
    status = ExitStatus(waitStatus: packed)
    exited.fire()
  }

  private static func spawn(_ command: ChildCommand, _ fds: [Int32]) throws(ChildError) -> Int32 {
    let variables = command.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    guard (command.arguments + variables).allSatisfy({ !$0.utf8.contains(0) }) else {
      throw ChildError(.notStarted, command, "an argument holds a zero byte")
    }
    var arguments = command.arguments.map { strdup($0) } + [nil]
    var environment = variables.map { strdup($0) } + [nil]
    defer { for text in arguments + environment { free(text) } }
    let result = vision_spawn(&arguments, &environment, command.folder, fds)
    guard result > 0 else { throw ChildError(.notStarted, command, String(cString: strerror(-result))) }
    return result
  }
}
