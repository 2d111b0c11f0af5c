import Foundation
import Glibc

/// What a program's work gets to know about the process that it runs in.
@IO
public final class ServiceContext {
  /// The settings that the program was started with.
  public nonisolated let settings: Settings
  /// The log of the process.
  public nonisolated let log: Log
  /// Fires at the first SIGTERM or SIGINT: finish what runs, start nothing, return.
  public nonisolated let stopping = Signal()
  /// Called at SIGHUP; without it SIGHUP does nothing.
  public var onHangup: (@IO () -> Void)?
  /// Whether the program does its work, asked before each touch of the health file; without it a loop that
  /// turns is healthy.
  public var isHealthy: (@IO () -> Bool)?

  nonisolated init(settings: Settings, log: Log) {
    self.settings = settings
    self.log = log
  }
}

/// The life of a program: settings, signals, the loop on the main thread, the exit code.
public enum Service {
  /// Runs a program to its end.
  ///
  /// Wrong settings are one line on stderr and exit code 2. `work` runs on the loop; what it returns is
  /// the exit code, and an error that it throws is one line on stderr and its
  /// ``ExitCodeProviding/exitCode``, or 1. The first SIGTERM or SIGINT fires
  /// ``ServiceContext/stopping``; a second one ends the process at once with 130.
  public static func run(
    _ table: SettingsTable, arguments: [String] = Array(CommandLine.arguments.dropFirst()),
    work: @escaping @IO @Sendable (ServiceContext) async throws -> ExitCode
  ) -> Never {
    // Before any thread exists: threads inherit what is blocked.
    SignalSource.block([SIGTERM, SIGINT, SIGHUP])
    signal(SIGPIPE, SIG_IGN)
    raiseOpenFilesLimit()
    let settings: Settings
    do {
      let request = try table.parse(
        arguments: arguments, environment: ProcessInfo.processInfo.environment, readFile: SettingsFile.read)
      switch request {
      case .show(let text):
        print(text, terminator: "")
        exit(ExitCode.ok.rawValue)
      case .run(let parsed): settings = parsed
      }
    } catch {
      complain(table, error)
      exit(error.exitCode.rawValue)
    }
    configureLog(settings)
    let context = ServiceContext(settings: settings, log: .shared)
    EventLoop.shared.reserve()
    IO.task { @IO in
      let code = await supervise(table, context, work: work)
      context.log.flush()
      exit(code.rawValue)
    }
    EventLoop.shared.run()
    preconditionFailure("the loop of a program ends with the program")
  }

  /// Every open stream is a descriptor: the soft limit, often 1,024, goes up to the hard one.
  private static func raiseOpenFilesLimit() {
    var limit = rlimit()
    guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
    limit.rlim_cur = limit.rlim_max
    setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  }

  @IO private static func supervise(
    _ table: SettingsTable, _ context: ServiceContext,
    work: @IO @Sendable (ServiceContext) async throws -> ExitCode
  ) async -> ExitCode {
    let signals = SignalSource([SIGTERM, SIGINT, SIGHUP]) { signal in handle(signal, context) }
    defer { signals.close() }
    let health = context.settings.known["health-file"].flatMap { context.settings.stringIfSet($0.name) }
    let pulse = health.map { HealthFile(path: $0, log: context.log) { context.isHealthy?() ?? true } }
    defer { pulse?.remove() }
    do {
      return try await work(context)
    } catch {
      complain(table, error)
      return (error as? any ExitCodeProviding)?.exitCode ?? .failed
    }
  }

  @IO private static func handle(_ signal: Int32, _ context: ServiceContext) {
    if signal == SIGHUP {
      context.onHangup?()
    } else if context.stopping.isFired {
      context.log.warning("stopping at once", ["signal": Int(signal)])
      context.log.flush()
      // Without exit handlers: whoever asks twice has waited long enough.
      _exit(ExitCode.interrupted.rawValue)
    } else {
      context.log.info("stopping", ["signal": Int(signal)])
      context.stopping.fire()
    }
  }

  /// Only programs that have the settings of the log are configured; the others log by default.
  private static func configureLog(_ settings: Settings) {
    guard settings.known["log-level"] != nil, settings.known["log-format"] != nil,
      let level = LogLevel(rawValue: settings.string("log-level")),
      let format = LogFormat(rawValue: settings.string("log-format"))
    else { return }
    Log.shared.configure(level: level, format: format)
  }

  private static func complain(_ table: SettingsTable, _ error: any Error) {
    let line = "\(table.program): \(TextEscape.line(String(describing: error)))\n"
    FileHandle.standardError.write(Data(line.utf8))
  }
}
