import Foundation
import Glibc
import Testing

@testable import Common

@Suite("A command", .timeLimit(.minutes(1)))
struct ChildProcessTests {
  @IO private func run(
    _ script: String, input: [UInt8] = [], stdoutMaxBytes: Int = 1 << 22, timeoutMilliseconds: Int = 30_000,
    adding: [String: String] = [:], folder: String? = nil
  ) async throws -> ChildResult {
    try await ChildProcess.run(
      ChildCommand(["/bin/sh", "-c", script], adding: adding, folder: folder), input: input,
      limits: ChildLimits(
        stdoutMaxBytes: stdoutMaxBytes, stderrMaxBytes: 100, timeoutMilliseconds: timeoutMilliseconds))
  }

  @Test("gives its output, its complaints and its exit code")
  @IO func result() async throws {
    let result = try await run("echo out; echo err >&2; exit 7")
    #expect(result.status == .exited(7) && !result.status.isSuccess)
    #expect(result.stdout == Array("out\n".utf8))
    #expect(result.stderr == Array("err\n".utf8))
    #expect(try await run("kill -TERM $$").status == .signalled(SIGTERM))
  }

  @Test("reads what it is given, however much, while it writes")
  @IO func copies() async throws {
    let input = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    let result = try await run("cat", input: input)
    #expect(result.stdout == input)
    #expect(try await run("cat").stdout.isEmpty, "an empty input ends")
  }

  @Test("need not read what it is given")
  @IO func ignoresInput() async throws {
    let result = try await run("exec 0<&-; echo done", input: [UInt8](repeating: 1, count: 1 << 20))
    #expect(result.status.isSuccess)
    #expect(result.stdout == Array("done\n".utf8))
  }

  @Test("starts in its folder, with its environment, in a clean state")
  @IO func surroundings() async throws {
    SignalSource.block([SIGUSR1])
    let result = try await run(
      "pwd; echo \"$VISION_TEST_CHILD\"; grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd",
      adding: ["VISION_TEST_CHILD": "a b"], folder: "/usr")
    let lines = String(decoding: result.stdout, as: UTF8.self).split(separator: "\n").map(String.init)
    #expect(lines.prefix(2) == ["/usr", "a b"])
    let masks = try lines.filter { $0.hasPrefix("Sig") }.map { line in
      // Signals 32 and 33 are the C library's own: it lets nobody change them.
      try #require(UInt64(line.dropFirst(8), radix: 16)) & ~(0b11 << 31)
    }
    #expect(masks == [0, 0], "no signal is blocked or ignored")
    // The fourth is the folder that ls lists.
    #expect(lines.suffix(4) == ["0", "1", "2", "3"], "no descriptor leaks into it")
  }

  @Test("that takes too long is killed with all that it started")
  @IO func timeout() async throws {
    let pidFile = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
    defer { unlink(pidFile) }
    let error = await #expect(throws: ChildError.self) {
      try await run("sleep 600 & echo $! > \(pidFile); wait", timeoutMilliseconds: 300)
    }
    #expect(error?.code == .timedOut)
    #expect(error?.description == "/bin/sh: took longer than 300 ms")
    let grandchild = try #require(Int32(try String(contentsOfFile: pidFile, encoding: .utf8).dropLast()))
    #expect(await ended(grandchild))
  }

  @Test("that leaves something running ends without it")
  @IO func leftovers() async throws {
    let result = try await run("sleep 600 & echo $!")
    let grandchild = try #require(Int32(String(decoding: result.stdout, as: UTF8.self).dropLast()))
    #expect(await ended(grandchild))
  }

  @Test("may write what it is given room for, and no byte more")
  @IO func outputLimit() async throws {
    let exact = try await run("head -c 100000 /dev/zero", stdoutMaxBytes: 100_000)
    #expect(exact.stdout.count == 100_000)
    for script in ["head -c 100001 /dev/zero", "cat /dev/zero"] {
      let error = await #expect(throws: ChildError.self) { try await run(script, stdoutMaxBytes: 100_000) }
      #expect(error?.code == .outputTooLarge)
      #expect(error?.description == "/bin/sh: wrote more than 100000 bytes")
    }
  }

  @Test("may complain at length: the beginning is kept")
  @IO func complaintLimit() async throws {
    let result = try await run("head -c 1000000 /dev/zero >&2; echo done")
    #expect(result.stderr.count == 100)
    #expect(result.stdout == Array("done\n".utf8))
  }

  @Test("that cannot be started says why")
  @IO func notStarted() async throws {
    let reasons = [
      "/nonexistent/program": "No such file or directory",
      "no-such-program-in-path": "No such file or directory",
      "/etc": "Permission denied", "a\0b": "an argument holds a zero byte",
    ]
    for (program, reason) in reasons {
      let error = await #expect(throws: ChildError.self) {
        try await ChildProcess.run(
          ChildCommand([program]), limits: ChildLimits(stdoutMaxBytes: 10, timeoutMilliseconds: 1000))
      }
      #expect(error?.code == .notStarted)
      #expect(error?.description.hasSuffix(": " + reason) == true, "\(String(describing: error))")
    }
    let folder = await #expect(throws: ChildError.self) { try await run("true", folder: "/nonexistent") }
    #expect(folder?.code == .notStarted)
  }

  @Test("is killed when the task that runs it is cancelled")
  @IO func cancellation() async throws {
    let pidFile = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
    mkfifo(pidFile, 0o600)
    defer { unlink(pidFile) }
    let task = Task { @IO in try await run("echo $$ > \(pidFile); exec sleep 600") }
    // Opening the pipe for reading waits for the command: it runs when this returns.
    let reader = try await ChildProcess.run(
      ChildCommand(["cat", pidFile]), limits: ChildLimits(stdoutMaxBytes: 100, timeoutMilliseconds: 30_000))
    let pid = try #require(Int32(String(decoding: reader.stdout, as: UTF8.self).dropLast()))
    task.cancel()
    let error = await #expect(throws: ChildError.self) { try await task.value }
    #expect(error?.code == .cancelled)
    #expect(await ended(pid))
  }

  @Test("leaves no descriptor and no zombie behind")
  @IO func leaks() async throws {
    func descriptors() throws -> Int {
      try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
    }
    _ = try await run("true")
    // Other suites open files meanwhile: only a leak of each run would reach the count.
    let before = try descriptors()
    for _ in 0..<50 {
      _ = try await run("echo x", input: [1])
      _ = await #expect(throws: ChildError.self) { try await run("true", folder: "/nonexistent") }
    }
    #expect(try descriptors() < before + 50)
  }
}

@Suite("A long-lived child", .timeLimit(.minutes(1)))
struct LongLivedChildTests {
  @Test("adds what it writes to its files")
  @IO func files() async throws {
    let path = NSTemporaryDirectory() + "vision-\(UUID().uuidString)"
    defer { unlink(path) }
    for _ in 0..<2 {
      let child = try ChildProcess(
        ChildCommand(["/bin/sh", "-c", "echo out; echo err >&2"]), stdout: .file(path), stderr: .file(path))
      #expect(await child.waitForExit() == .exited(0))
    }
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "out\nerr\nout\nerr\n")
    #expect(throws: ChildError.self) {
      try ChildProcess(ChildCommand(["true"]), stdout: .file("/nonexistent/file"))
    }
  }

  @Test("ends when it is asked to, and is killed when it does not listen")
  @IO func terminate() async throws {
    let polite = try Fixture("drain")
    #expect(await polite.line() == "ready")
    #expect(polite.child.status == nil)
    #expect(await polite.child.terminate(graceMilliseconds: 30_000) == .exited(0))
    let deaf = try Fixture("ignore")
    #expect(await deaf.line() == "ready")
    #expect(await deaf.child.terminate(graceMilliseconds: 200) == .signalled(SIGKILL))
    #expect(await deaf.child.terminate(graceMilliseconds: 0) == .signalled(SIGKILL), "twice is harmless")
  }

  @Test("is seen to end by itself, by everyone who waits")
  @IO func exits() async throws {
    let child = try ChildProcess(
      ChildCommand(["/bin/sh", "-c", "exit 3"]), stdout: .discarded, stderr: .discarded)
    async let first = child.waitForExit()
    async let second = child.waitForExit()
    #expect(await [first, second] == [.exited(3), .exited(3)])
    child.signal(SIGKILL)
  }

  @Test("does not outlive its parent, even when that is killed")
  @IO func diesWithParent() async throws {
    let fixture = try Fixture("parent")
    let child = try #require(Int32(await fixture.line()))
    kill(fixture.child.pid, SIGKILL)
    #expect(await fixture.child.waitForExit() == .signalled(SIGKILL))
    #expect(await ended(child))
  }
}

/// Waits until a process that is not ours to wait for has ended. True when it has.
@IO func ended(_ pid: Int32) async -> Bool {
  for _ in 0..<1000 {
    // A zombie that nobody collected yet has ended too.
    guard let text = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return true }
    if text.split(separator: ")").last?.hasPrefix(" Z") == true { return true }
    await EventLoop.shared.sleep(milliseconds: 10)
  }
  return false
}
