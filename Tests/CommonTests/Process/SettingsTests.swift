import Foundation
import Testing

@testable import Common

@Suite("Settings")
struct SettingsTests {
  private let table = SettingsTable(
    program: "vision-test", about: "A program for tests.",
    settings: [
      CommonSettings.redisURL, CommonSettings.redisPassword, CommonSettings.namespace,
      Setting("slots", .integer(1...512), default: "8", help: "Jobs at once."),
      Setting("share", .decimal(0...1), default: "0.5", help: "A share."),
      Setting("dry-run", .boolean, default: "false", help: "Send nothing."),
      Setting("order", .choice(["first", "best"]), default: "best", help: "Which one."),
      Setting("output", .path, help: "Where to."),
      Setting("grace", .milliseconds(1...3_600_000), default: "30s", help: "How long to wait."),
      Setting("title", .string(maxBytes: 10), default: "", help: "A title."),
    ],
    positionals: [.init("job", help: "Which job.", isOptional: true)], elsewhere: ["image-bytes"])

  private func settings(
    _ arguments: [String] = [], environment: [String: String] = [:], file: String? = nil, mode: UInt32 = 0o600
  ) throws -> Settings {
    let arguments = file == nil ? arguments : arguments + ["--settings", "s.json"]
    let request = try table.parse(arguments: arguments, environment: environment) { path in
      SettingsFile(path: path, bytes: Array((file ?? "").utf8), mode: mode)
    }
    guard case .run(let settings) = request else { throw NotRun() }
    return settings
  }

  private struct NotRun: Error {}

  /// The refusal of what must be refused.
  private func refusal(
    _ arguments: [String] = [], environment: [String: String] = [:], file: String? = nil, mode: UInt32 = 0o600
  ) throws -> SettingsError {
    try #require(throws: SettingsError.self) {
      try settings(arguments, environment: environment, file: file, mode: mode)
    }
  }

  @Test("have their defaults where nobody sets them")
  func defaults() throws {
    let settings = try settings()
    #expect(settings.string("redis-url") == "redis://127.0.0.1:6379/0")
    #expect(settings.int("slots") == 8)
    #expect(settings.double("share") == 0.5)
    #expect(settings.bool("dry-run") == false)
    #expect(settings.int("grace") == 30_000)
    #expect(settings.stringIfSet("output") == nil)
    #expect(settings.secret("redis-password") == nil)
    #expect(settings.origin("slots") == .byDefault)
    #expect(settings.shown.isEmpty)
  }

  @Test("take a flag over the environment, that over the file, that over the default")
  func precedence() throws {
    let file = #"{"slots": 2, "share": 0.25, "dry-run": true, "title": "file"}"#
    let environment = ["VISION_SLOTS": "3", "VISION_SHARE": "0.75", "PATH": "/bin", "VISION_TITLE": ""]
    let settings = try settings(["--slots", "4"], environment: environment, file: file)
    #expect(settings.int("slots") == 4)
    #expect(settings.double("share") == 0.75)
    #expect(settings.bool("dry-run"))
    #expect(settings.string("title") == "file", "an empty variable is not set")
    #expect(settings.string("order") == "best")
    #expect(settings.origin("slots") == .flag)
    #expect(settings.origin("share") == .environment)
    #expect(settings.origin("dry-run") == .file("s.json"))
    #expect(settings.shown.map(\.name) == ["dry-run", "share", "slots", "title"])
  }

  @Test("find the settings file through the environment too, and prefer the flag's")
  func settingsFile() throws {
    var asked: [String] = []
    for arguments in [[], ["--settings=b.json"]] {
      _ = try table.parse(arguments: arguments, environment: ["VISION_SETTINGS": "a.json"]) { path in
        asked.append(path)
        return SettingsFile(path: path, bytes: Array("{}".utf8), mode: 0o644)
      }
    }
    #expect(asked == ["a.json", "b.json"])
  }

  @Test("understand every way to write a flag")
  func flags() throws {
    let settings = try settings([
      "--slots=16", "--dry-run", "--output", "/tmp/x", "--title", "-x", "--grace=2m", "--", "--job",
    ])
    #expect(settings.int("slots") == 16)
    #expect(settings.bool("dry-run"))
    #expect(settings.string("output") == "/tmp/x")
    #expect(settings.string("title") == "-x")
    #expect(settings.int("grace") == 120_000)
    #expect(settings.arguments == ["--job"])
    #expect(try self.settings(["--no-dry-run"]).bool("dry-run") == false)
    #expect(try self.settings(["--dry-run=false"]).bool("dry-run") == false)
    #expect(try self.settings(["-"]).arguments == ["-"])
  }

  @Test(
    "read times in every unit",
    arguments: [("1500", 1500), ("1500ms", 1500), ("90s", 90_000), ("5m", 300_000), ("1h", 3_600_000)])
  func times(text: String, milliseconds: Int) throws {
    #expect(try settings(["--grace", text]).int("grace") == milliseconds)
  }

  @Test(
    "refuse a wrong flag, saying what is allowed",
    arguments: [
      (["--slots", "0"], "--slots 0: must be a whole number from 1 to 512"),
      (["--slots=many"], "--slots many: must be a whole number from 1 to 512"),
      (
        ["--slots=999999999999999999999"],
        "--slots 999999999999999999999: must be a whole number from 1 to 512"
      ),
      (["--share", "nan"], "--share nan: must be a number from 0.0 to 1.0"),
      (["--share", "-0.1"], "--share -0.1: must be a number from 0.0 to 1.0"),
      (["--dry-run=yes"], "--dry-run yes: must be true or false"),
      (["--order", "bset"], "--order bset: must be one of first, best"),
      (
        ["--namespace", "{a}"],
        "--namespace {a}: must be 1 to 64 of the characters a-z, 0-9, '-', '_' and '.'"
      ),
      (["--output="], "--output : must be a path"),
      (["--title", "12345678901"], "--title 12345678901: must be text of at most 10 bytes"),
      (
        ["--redis-url", "http://a"],
        "--redis-url http://a: must be a URL that starts with redis:// or unix:// or redis+sentinel://"
      ),
      (
        ["--redis-url", "redis://"],
        "--redis-url redis://: must be a URL that starts with redis:// or unix:// or redis+sentinel://"
      ),
      (
        ["--grace", "1d"],
        "--grace 1d: must be a time from 1ms to 3600000ms, such as 1500ms, 90s, 5m or 1h"
      ),
      (["--slots"], "--slots lacks its value: must be a whole number from 1 to 512"),
      (["--slots", "--dry-run"], "--slots lacks its value: must be a whole number from 1 to 512"),
      (["--settings"], "--settings lacks its value"),
      (["--slots", "1", "--slots", "2"], "--slots stands there twice"),
      (["--dry-run", "--no-dry-run"], "--dry-run stands there twice"),
      (["--solts", "1"], "unknown flag --solts; did you mean --slots? (vision-test --help lists all)"),
      (["--zzzzzz=secret"], "unknown flag --zzzzzz (vision-test --help lists all)"),
      (["-n", "1"], "unknown flag -n (vision-test --help lists all)"),
      (["--no-slots"], "unknown flag --no-slots; did you mean --slots? (vision-test --help lists all)"),
      (["one", "two"], "unexpected argument \"two\""),
      (
        ["--title", "a\nb\u{1b}[31m\"quoted"],
        "--title a\\nb\\u001b[31m\\\"quoted: must be text of at most 10 bytes"
      ),
    ])
  func wrongFlags(arguments: [String], message: String) throws {
    #expect(try refusal(arguments).description == message)
  }

  @Test(
    "refuse a wrong environment, and leave alone what is not ours",
    arguments: [
      ("VISION_SLOTS", "0", "VISION_SLOTS=0: must be a whole number from 1 to 512"),
      ("VISION_SLOT", "1", "unknown environment variable VISION_SLOT; did you mean VISION_SLOTS?"),
      ("VISION_QUITE_ELSE", "1", "unknown environment variable VISION_QUITE_ELSE"),
      ("VISION_TEST_REDIS", "x", ""), ("VISION_BENCH_ROUNDS", "x", ""), ("VISION_IMAGE_BYTES", "x", ""),
      ("SLOTS", "x", ""),
    ])
  func wrongEnvironment(name: String, value: String, message: String) throws {
    if message.isEmpty {
      _ = try settings(environment: [name: value])
    } else {
      #expect(try refusal(environment: [name: value]).description == message)
    }
  }

  @Test(
    "refuse a wrong file",
    arguments: [
      ("", "settings file s.json is empty; an object with no settings is {}"),
      ("{", "settings file s.json is not JSON"), ("[1]", "settings file s.json must be a JSON object"),
      (#"{"slots": [1]}"#, #"settings file s.json "slots" must be a text, a number or a boolean"#),
      (#"{"slots": null}"#, #"settings file s.json "slots" must be a text, a number or a boolean"#),
      (#"{"slots": 0}"#, #"settings file s.json: "slots": 0: must be a whole number from 1 to 512"#),
      (#"{"slots": 1.5}"#, #"settings file s.json: "slots": 1.5: must be a whole number from 1 to 512"#),
      (#"{"slot": 1}"#, #"settings file s.json: unknown setting "slot"; did you mean slots?"#),
      (#"{"settings": "x"}"#, #"settings file s.json: unknown setting "settings""#),
    ])
  func wrongFile(text: String, message: String) throws {
    #expect(try refusal(file: text).description == message)
  }

  @Test("ignore in the file what belongs to another program")
  func elsewhere() throws {
    #expect(try settings(file: #"{"image-bytes": "x", "slots": 3}"#).int("slots") == 3)
  }

  @Test("check a value also where a stronger one wins")
  func weakerIsChecked() throws {
    #expect(try refusal(["--slots", "4"], environment: ["VISION_SLOTS": "0"]).setting == "slots")
  }

  @Test("want what is required")
  func required() throws {
    let table = SettingsTable(
      program: "p", about: "", settings: [Setting("roster", .path, isRequired: true, help: "")],
      positionals: [.init("job", help: "")])
    func parse(_ arguments: [String]) throws {
      _ = try table.parse(arguments: arguments, environment: [:], readFile: SettingsFile.read)
    }
    let unset = try #require(throws: SettingsError.self) { try parse(["a"]) }
    #expect(unset.description == "roster is not set: use --roster or VISION_ROSTER")
    let lacking = try #require(throws: SettingsError.self) { try parse(["--roster=x"]) }
    #expect(lacking.description == "<job> is missing")
    try parse(["--roster=x", "a"])
  }
}

extension SettingsTests {
  @Test("take secrets from the environment and from a private file, and show them nowhere")
  func secrets() throws {
    let fromEnvironment = try settings(environment: ["VISION_REDIS_PASSWORD": "hunter2"])
    #expect(fromEnvironment.secret("redis-password")?.reveal() == "hunter2")
    #expect("\(fromEnvironment.shown)".contains("hunter2") == false)
    let file = #"{"redis-password": "hunter2", "redis-url": "redis://me:hunter3@h"}"#
    let fromFile = try settings(file: file)
    #expect(fromFile.secret("redis-password") == Redacted("hunter2"))
    #expect(fromFile.shown.map(\.value) == ["<redacted>", "redis://me:***@h"])
    let url = try settings(environment: ["VISION_REDIS_URL": "redis://:p/w@h:1/0"])
    #expect(url.shown.map(\.value) == ["redis://:***@h:1/0"])
  }

  @Test("take the password for Redis from a file that nobody else can read, and the user from beside the URL")
  func passwordFile() throws {
    try withTemporaryFolder { folder in
      let path = folder + "/worker.password"
      func write(_ text: String, mode: Int = 0o600) {
        _ = FileManager.default.createFile(
          atPath: path, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
      }
      let table = SettingsTable(program: "vision-test", about: "", settings: CommonSettings.service)
      func address(_ more: [String] = []) throws -> RedisAddress {
        let arguments = ["--redis-password-file", path, "--redis-url", "redis://me@h"] + more
        let request = try table.parse(arguments: arguments, environment: [:], readFile: SettingsFile.read)
        guard case .run(let settings) = request else { throw NotRun() }
        return try settings.redisAddress()
      }
      write("hunter2\nand more")
      #expect(try address().password == "hunter2" && address().user == "me")
      #expect(try address(["--redis-user", "vision-worker"]).user == "vision-worker")
      for (text, mode, reason) in [
        ("hunter2", 0o640, "other users can read it: chmod 600"), ("\n", 0o600, "its first line must be"),
        (String(repeating: "a", count: 1025), 0o600, "its first line must be"),
      ] {
        write(text, mode: mode)
        let error = try #require(throws: RedisError.self) { try address() }
        #expect(error.message.hasPrefix("redis-password-file \(path): \(reason)"), "\(error.message)")
        #expect(error.exitCode == .usage && !error.message.contains("hunter2"))
      }
      try FileManager.default.removeItem(atPath: path)
      let error = try #require(throws: RedisError.self) { try address() }
      #expect(error.message == "redis-password-file \(path): No such file or directory")
    }
  }

  @Test("refuse secrets where others can see them")
  func exposedSecrets() throws {
    for arguments in [["--redis-password", "hunter2"], ["--redis-password=hunter2"], ["--redis-password"]] {
      let error = try refusal(arguments)
      #expect(error.code == .exposedSecret)
      #expect(error.description.contains("VISION_REDIS_PASSWORD") && !error.description.contains("hunter2"))
    }
    let url = try refusal(["--redis-url", "redis://:hunter2@h"])
    #expect(url.code == .exposedSecret && !url.description.contains("hunter2"))
    #expect(try settings(["--redis-url", "redis://h"]).string("redis-url") == "redis://h")
    for file in [#"{"redis-password": "hunter2"}"#, #"{"redis-url": "redis://:hunter2@h"}"#] {
      let error = try refusal(file: file, mode: 0o640)
      #expect(error.code == .exposedSecret && error.description.contains("chmod 600 s.json"))
      #expect(!error.description.contains("hunter2"))
    }
    #expect(try settings(file: #"{"slots": 3}"#, mode: 0o644).int("slots") == 3)
  }

  @Test("never repeat a secret in a refusal")
  func refusedSecrets() throws {
    let long = String(repeating: "hunter2", count: 200)
    #expect(
      try refusal(environment: ["VISION_REDIS_PASSWORD": long]).description
        == "VISION_REDIS_PASSWORD=<redacted>: must be text of at most 1024 bytes")
    #expect(
      try refusal(environment: ["VISION_REDIS_URL": "http://:hunter2@h"]).description
        == "VISION_REDIS_URL=http://:***@h: must be a URL that starts with redis:// or unix:// or redis+sentinel://"
    )
  }

  @Test("describe themselves in 100 columns, each with its flag, variable, default and range")
  func help() throws {
    let request = try table.parse(
      arguments: ["--wrong", "--help"], environment: [:], readFile: SettingsFile.read)
    guard case .show(let text) = request else {
      Issue.record("no help")
      return
    }
    for line in text.split(separator: "\n") { #expect(line.count <= 100, "\(line)") }
    for setting in table.settings {
      #expect(text.contains(setting.variable))
      #expect(text.contains(setting.isSecret ? "(\(setting.name))" : "\(setting.name)"))
    }
    #expect(text.contains("Usage: vision-test [--setting value]... [<job>]"))
    #expect(text.contains("      Jobs at once. Allowed: a whole number from 1 to 512. Default: 8\n"))
    #expect(text.contains("--[no-]dry-run"))
    #expect(!text.contains("--redis-password"))
    let columns = text.split(separator: "\n").compactMap { $0.firstRange(of: "VISION_")?.lowerBound }
      .map { $0.utf16Offset(in: text) }
    #expect(columns.count == table.settings.count + 1)
  }

  @Test("print the version")
  func version() throws {
    let request = try table.parse(arguments: ["--version"], environment: [:], readFile: SettingsFile.read)
    guard case .show(let text) = request else {
      Issue.record("no version")
      return
    }
    #expect(text == "vision-test \(Version.current)\n")
  }

  @Test(
    "measure how far words are apart",
    arguments: [
      ("slots", "slots", 0), ("solts", "slots", 1), ("slot", "slots", 1), ("", "abc", 3), ("ab", "cd", 2),
    ])
  func distance(left: String, right: String, edits: Int) {
    #expect(NearMiss.distance(left, right) == edits)
    #expect(NearMiss.distance(right, left) == edits)
  }
}
