import CShims
import Glibc

/// What a command gave.
public struct ChildResult: Sendable, Equatable {
  /// How it ended. A code other than 0 is a result too: the caller decides.
  public let status: ExitStatus
  /// All that it wrote to its standard output.
  public let stdout: [UInt8]
  /// The beginning of what it wrote to its standard error.
  public let stderr: [UInt8]
}

/// What a command may use.
public struct ChildLimits: Sendable {
  /// Bytes of standard output; one more is an error.
  public var stdoutMaxBytes: Int
  /// Bytes of standard error that are kept; the rest is read and forgotten.
  public var stderrMaxBytes: Int
  /// Time until it is killed with all that it started.
  public var timeoutMilliseconds: Int

  /// Limits for a command.
  public init(stdoutMaxBytes: Int, stderrMaxBytes: Int = 16_384, timeoutMilliseconds: Int) {
    self.stdoutMaxBytes = stdoutMaxBytes
    self.stderrMaxBytes = stderrMaxBytes
    self.timeoutMilliseconds = timeoutMilliseconds
  }
}

extension ChildProcess {
  /// Runs a command to its end: writes `input` to it, and collects what it writes. The command is over
  /// when its first process ends; what that left running is killed.
  /// - Throws: `.notStarted`, `.timedOut`, `.outputTooLarge` or `.cancelled`. In every case nothing is left
  ///   running when this returns.
  @IO public static func run(
    _ command: ChildCommand, input: [UInt8] = [], limits: ChildLimits
  ) async throws(ChildError) -> ChildResult {
    let stdin = try Pipe(command)
    let stdout = try Pipe(command)
    let stderr = try Pipe(command)
    let child = try ChildProcess(
      command, input: stdin.readEnd, stdout: .descriptor(stdout.writeEnd),
      stderr: .descriptor(stderr.writeEnd))
    let ending = Ending(child, command)
    let writer = PipeWriter(stdin.takeWriteEnd(), input)
    let output = PipeReader(stdout.takeReadEnd(), maxBytes: limits.stdoutMaxBytes) {
      ending.force(.outputTooLarge, "wrote more than \(limits.stdoutMaxBytes) bytes")
    }
    let errors = PipeReader(stderr.takeReadEnd(), maxBytes: limits.stderrMaxBytes) {}
    for pipe in [stdin, stdout, stderr] { pipe.closeBoth() }
    let timer = EventLoop.shared.after(milliseconds: limits.timeoutMilliseconds) {
      ending.force(.timedOut, "took longer than \(limits.timeoutMilliseconds) ms")
    }
    let status = await withTaskCancellationHandler {
      await child.exitStatus()
    } onCancel: {
      IO.task { @IO in ending.force(.cancelled, "was cancelled") }
    }
    timer.cancel()
    writer.finish()
    output.finish()
    errors.finish()
    if let failure = ending.failure { throw failure }
    if output.isOverfull {
      throw ChildError(.outputTooLarge, command, "wrote more than \(limits.stdoutMaxBytes) bytes")
    }
    return ChildResult(status: status, stdout: output.bytes, stderr: errors.bytes)
  }
}

/// A command that is made to end, and the first reason for it.
@IO private final class Ending {
  private let child: ChildProcess
  private let command: ChildCommand
  private(set) var failure: ChildError?

  init(_ child: ChildProcess, _ command: ChildCommand) {
    self.child = child
    self.command = command
  }

  func force(_ code: ChildError.Code, _ reason: String) {
    if failure == nil, child.status == nil { failure = ChildError(code, command, reason) }
    child.signal(SIGKILL)
  }
}

/// The two ends of a pipe. An end that nobody took is closed with it.
@IO private final class Pipe {
  private(set) var readEnd: Int32 = -1
  private(set) var writeEnd: Int32 = -1

  init(_ command: ChildCommand) throws(ChildError) {
    var ends: [Int32] = [-1, -1]
    guard vision_pipe(&ends) == 0 else {
      throw ChildError(.notStarted, command, "no pipe: \(String(cString: strerror(errno)))")
    }
    (readEnd, writeEnd) = (ends[0], ends[1])
  }

  func takeReadEnd() -> Int32 { Self.take(&readEnd) }
  func takeWriteEnd() -> Int32 { Self.take(&writeEnd) }

  func closeBoth() {
    for fd in [readEnd, writeEnd] where fd >= 0 { close(fd) }
    (readEnd, writeEnd) = (-1, -1)
  }

  /// Our end must not block the loop; the other end is the child's and stays as programs expect it.
  private static func take(_ end: inout Int32) -> Int32 {
    let fd = end
    end = -1
    _ = fcntl(fd, F_SETFL, O_NONBLOCK)
    return fd
  }

  deinit {
    if readEnd >= 0 { close(readEnd) }
    if writeEnd >= 0 { close(writeEnd) }
  }
}
