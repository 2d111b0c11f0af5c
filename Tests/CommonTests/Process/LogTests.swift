import Foundation
import Synchronization
import Testing

@testable import Common

@Suite("The log")
struct LogTests {
  /// A log that keeps its lines, with a clock that stands until it is moved.
  private final class Recorder: Sendable {
    let lines = Mutex<[String]>([])
    let time = Atomic<Int>(1_735_689_599_007)

    func log(_ format: LogFormat = .logfmt, level: LogLevel = .debug) -> Log {
      let log = Log(now: { self.time.load(ordering: .relaxed) }) { bytes in
        self.lines.withLock { $0.append(String(decoding: bytes, as: UTF8.self)) }
      }
      log.configure(level: level, format: format)
      return log
    }

    var all: [String] { lines.withLock { $0 } }
  }

  @Test("writes an event on one line of logfmt")
  func logfmt() {
    let recorder = Recorder()
    recorder.log().info(
      "worker started",
      ["worker": "w-1", "slots": 8, "share": 0.5, "ready": true, "empty": "", "text": "a \"b\" = \\c"])
    #expect(
      recorder.all == [
        "time=2024-12-31T23:59:59.007Z level=info msg=\"worker started\" worker=w-1 slots=8 share=0.5"
          + #" ready=true empty="" text="a \"b\" = \\c""# + "\n"
      ])
  }

  @Test("writes JSON that a parser reads back to the same text")
  func json() throws {
    let recorder = Recorder()
    let nasty = "a\"b\\c\nd\re\tf\u{0}\u{1b}[2J\u{7f}\u{85}\u{2028}\u{202e}é日🎉"
    recorder.log(.json).error("it broke", ["nasty": nasty, "count": -1, "not a number": Double.nan])
    let line = try #require(recorder.all.first)
    let object = try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    #expect(object["nasty"] as? String == nasty)
    #expect(object["count"] as? Int == -1)
    #expect(object["level"] as? String == "error")
    #expect(object["not a number"] as? String == "nan")
  }

  @Test("lets no value break the line or reach the terminal", arguments: LogFormat.allCases)
  func escaping(format: LogFormat) throws {
    let recorder = Recorder()
    let log = recorder.log(format)
    // Where Unicode keeps its controls; the separators and direction marks are from 0x2000 on.
    let values = Array(0..<0x300) + Array(0x2000..<0x2070)
    for value in values {
      guard let scalar = Unicode.Scalar(UInt32(value)) else { continue }
      log.info("a line", ["value": "x\(Character(scalar))y"])
      recorder.time.add(1000, ordering: .relaxed)
    }
    #expect(recorder.all.count == values.count)
    for line in recorder.all {
      let inner = line.dropLast().unicodeScalars
      #expect(line.hasSuffix("\n"))
      #expect(!inner.contains { $0.properties.generalCategory == .control }, "\(line)")
      #expect(!inner.contains { $0.value == 0x2028 || $0.value == 0x2029 || $0.value == 0x202e }, "\(line)")
    }
  }

  @Test("cuts long values between characters, and leaves out fields of a line that is too long")
  func limits() {
    let recorder = Recorder()
    let log = recorder.log()
    let long = String(repeating: "é", count: 100_000)
    log.info("long", ["a": long])
    #expect(recorder.all[0].utf8.count < LogLine.valueMaxBytes + 100)
    #expect(recorder.all[0].hasSuffix("é…\"\n"))
    log.info(
      "many",
      ["a": long, "b": long, "c": long, "d": long, "e": long, "f": long, "g": long, "h": long, "i": "end"])
    #expect(recorder.all[1].utf8.count <= LogLine.lineMaxBytes)
    #expect(recorder.all[1].hasSuffix("i=end left_out=1\n"))
  }

  @Test("leaves out what is less important than its level")
  func levels() {
    let recorder = Recorder()
    let log = recorder.log(level: .warning)
    log.debug("a")
    log.info("b")
    log.warning("c")
    log.error("d")
    #expect(recorder.all.map { $0.split(separator: " ")[1] } == ["level=warning", "level=error"])
  }

  @Test("counts a message that repeats, and says so in the next second")
  func repeats() {
    let recorder = Recorder()
    let log = recorder.log()
    for number in 0..<100 { log.warning("again", ["number": number]) }
    log.info("another")
    #expect(recorder.all.count == Log.repeatsMax + 1)
    recorder.time.add(1000, ordering: .relaxed)
    log.info("another")
    #expect(recorder.all.count == Log.repeatsMax + 3)
    #expect(recorder.all[Log.repeatsMax + 1].hasSuffix("level=warning msg=again suppressed=80\n"))
    log.flush()
    #expect(recorder.all.count == Log.repeatsMax + 3, "nothing is left to tell")
  }

  @Test("tells at the end what it only counted")
  func flush() {
    let recorder = Recorder()
    let log = recorder.log()
    for _ in 0..<(Log.repeatsMax + 5) { log.info("again") }
    log.flush()
    #expect(recorder.all.last?.hasSuffix("msg=again suppressed=5\n") == true)
  }

  @Test("loses and mixes no line of many threads")
  func threads() {
    let recorder = Recorder()
    let log = recorder.log()
    DispatchQueue.concurrentPerform(iterations: 8) { thread in
      for number in 0..<100 {
        recorder.time.add(1000, ordering: .relaxed)
        log.info("from a thread", ["thread": thread, "number": number])
      }
    }
    log.flush()
    let told = recorder.all.filter { $0.contains("thread=") }.count
    let counted = recorder.all.compactMap { $0.split(separator: "suppressed=").dropFirst().first }
      .compactMap { Int($0.dropLast()) }.reduce(0, +)
    #expect(told + counted == 800)
    #expect(recorder.all.allSatisfy { $0.hasPrefix("time=") && $0.filter { $0 == "\n" }.count == 1 })
  }

  @Test("shows no secret")
  func secrets() {
    let recorder = Recorder()
    let secret = Redacted("hunter2")
    struct Holder { let secret: Redacted }
    recorder.log().info("connecting", ["password": secret, "holder": "\(Holder(secret: secret))"])
    var dumped = ""
    dump(Holder(secret: secret), to: &dumped)
    #expect(!recorder.all[0].contains("hunter2") && recorder.all[0].contains("<redacted>"))
    #expect(!dumped.contains("hunter2"))
  }

  @Test(
    "writes dates as the calendar has them",
    arguments: [
      (0, "1970-01-01T00:00:00.000Z"), (951_782_400_000, "2000-02-29T00:00:00.000Z"),
      (1_709_251_199_999, "2024-02-29T23:59:59.999Z"), (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
      (-1, "1970-01-01T00:00:00.000Z"),
    ])
  func dates(milliseconds: Int, text: String) {
    #expect(Timestamp.utc(milliseconds: milliseconds) == text)
  }
}
