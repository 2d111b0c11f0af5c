import Common
import Foundation
import Testing

@testable import Producer

@Suite("The roster")
struct RosterTests {
  private func parse(_ text: String) throws(RosterError) -> Roster { try Roster(parsing: Array(text.utf8)) }

  private func parse(miners: String) throws(RosterError) -> Roster {
    try parse(#"{"version": 1, "validator_hotkey": "v", "miners": [\#(miners)]}"#)
  }

  private let good = #"{"hotkey": "a", "uid": 1, "address": "http://192.0.2.1:80", "stake": 2}"#

  @Test("is read, in the order of uids, without the validator itself")
  func reading() throws {
    let text = Fixture.rosterText(Fixture.miners(5).reversed(), validator: "hotkey-2")
    let roster = try parse(text)
    #expect(roster.validatorHotkey == "hotkey-2")
    #expect(roster.miners == Fixture.miners(5).filter { $0.uid != 2 })
    #expect(roster.dropped.isEmpty)
  }

  @Test(
    "names the miner and the field that is wrong",
    arguments: [
      (#"{"uid": 1, "address": "http://a:1"}"#, "miners[1]: hotkey: must be"),
      (#"{"hotkey": "b:c", "uid": 2, "address": "http://a:1"}"#, "miners[1]: hotkey: must be"),
      (#"{"hotkey": "b", "uid": -2, "address": "http://a:1"}"#, "miners[1]: uid: must be"),
      (#"{"hotkey": "b", "uid": 1.5, "address": "http://a:1"}"#, "miners[1]: uid: must be"),
      (#"{"hotkey": "b", "uid": 65536, "address": "http://a:1"}"#, "miners[1]: uid: must be"),
      (#"{"hotkey": "b", "uid": 2}"#, "miners[1]: address: must be"),
      (#"{"hotkey": "b", "uid": 2, "address": "http://a:1", "stake": -1}"#, "miners[1]: stake: must be"),
      (#"{"hotkey": "b", "uid": 2, "address": "http://a:1", "stake": "1"}"#, "miners[1]: stake: must be"),
      (
        #"{"hotkey": "a", "uid": 2, "address": "http://a:1"}"#, "miners[1]: hotkey: is also that of miners[0]"
      ),
      (#"{"hotkey": "b", "uid": 1, "address": "http://a:1"}"#, "miners[1]: uid: is also that of miners[0]"),
      ("7", "miners[1]: must be an object"),
    ])
  func errors(entry: String, message: String) {
    let error = #expect(throws: RosterError.self) { try parse(miners: "\(good), \(entry)") }
    #expect(error?.description.hasPrefix(message) == true, "\(String(describing: error))")
  }

  @Test(
    "is refused as a whole when its frame is wrong",
    arguments: [
      "", "[]", "{", #"{"version": 2}"#, #"{"version": 1, "miners": []}"#,
      #"{"version": 1, "validator_hotkey": "v"}"#, #"{"version": 1, "validator_hotkey": "v", "miners": {}}"#,
      String(repeating: "[", count: 100_000),
    ])
  func frame(text: String) {
    #expect(throws: RosterError.self) { try parse(text) }
  }

  @Test("leaves out a miner whose address is outside of the networks that are allowed, and nobody else")
  func networks() throws {
    let addresses = [
      "http://8.8.8.8:1", "http://127.0.0.1:6379", "http://169.254.169.254", "http://[::1]:2",
      "http://[::ffff:10.0.0.1]:3", "http://miner.example:4", "http://[2606:4700::1111]:5",
    ]
    let miners = addresses.enumerated().map { #"{"hotkey": "h\#($0)", "uid": \#($0), "address": "\#($1)"}"# }
    let text = #"{"version": 1, "validator_hotkey": "v", "miners": [\#(miners.joined(separator: ","))]}"#
    let roster = try Roster(parsing: Array(text.utf8), networks: NetworkPolicy(parsing: "public"))
    #expect(roster.miners.map(\.uid) == [0, 5, 6])
    #expect(roster.dropped.map(\.miner) == [1, 2, 3, 4].map { "miners[\($0)] (uid \($0))" })
    #expect(roster.dropped.allSatisfy { $0.description.contains("miner-networks") })
  }

  @Test("has a maximum of miners")
  func tooMany() throws {
    let entries = Array(repeating: "1", count: Roster.minersMax)
    let full = #expect(throws: RosterError.self) { try parse(miners: entries.joined(separator: ",")) }
    #expect(full?.code == .invalidField, "as many as there may be are looked at")
    let over = (entries + ["1"]).joined(separator: ",")
    let error = #expect(throws: RosterError.self) { try parse(miners: over) }
    #expect(error?.code == .tooMany)
  }

  @Test(
    "leaves out a miner with an unusable address, and only that one",
    arguments: [
      "", "ftp://a", "http://", "a:80", "http://a:80/path", "http://user@a:80", "http://a:99999",
      "http://a b",
      "http://a:80?x=1", "redis://127.0.0.1:6379", "http://a:80#x", "http://a:0",
    ])
  func addresses(address: String) throws {
    let entry = #"{"hotkey": "b", "uid": 2, "address": "\#(address)", "stake": 1}"#
    let roster = try parse(miners: "\(entry), \(good)")
    #expect(roster.miners.map(\.hotkey) == ["a"])
    #expect(roster.dropped.count == 1)
    #expect(roster.dropped.first?.description.hasPrefix("miners[0] (uid 2): address: ") == true)
  }

  @Test("takes hosts by name and number, with a slash at the end or without")
  func goodAddresses() throws {
    for (text, address) in [
      ("http://example.org:8091/", "http://example.org:8091"), ("https://192.0.2.7", "https://192.0.2.7"),
      ("http://[2001:db8::1]:80", "http://[2001:db8::1]:80"),
    ] {
      #expect(try Roster.address(text, miner: "m") == address)
    }
  }

  @Test("tells who left, and whose address is now another one's")
  func gone() throws {
    let planned = Fixture.miners(5)
    var now = planned
    now.remove(at: 1)
    now[2].address = "http://192.0.2.9:1"
    now.append(MinerRecord(hotkey: "new", uid: 9, address: planned[3].address))
    now[3].address = "http://192.0.2.9:2"
    let roster = try parse(Fixture.rosterText(now))
    // 1 left; 3's address is now that of "new"; 4 only moved.
    #expect(roster.gone(of: planned) == [1, 3])
    #expect(try parse(Fixture.rosterText([])).gone(of: planned).isEmpty, "an empty roster is no evidence")
    now[0].address = "nonsense"
    #expect(try parse(Fixture.rosterText(now)).gone(of: planned) == [1, 3], "a bad address is no way out")
  }
}

@Suite("The roster's source")
struct RosterSourceTests {
  @Test("reads a file again when it changed, and keeps the last good roster")
  @IO func file() async throws {
    try await Fixture.withFile(Fixture.rosterText(Fixture.miners(3))) { path in
      let source = RosterSource(.file(path: path), log: Fixture.quiet)
      await source.refresh()
      #expect(source.current?.miners.count == 3)
      await source.refresh()
      #expect(source.revision == 1, "an unchanged file is not read again")
      try Data("{".utf8).write(to: URL(fileURLWithPath: path))
      await source.refresh()
      #expect(source.current?.miners.count == 3 && source.revision == 1)
      try Data(Fixture.rosterText(Fixture.miners(4)).utf8).write(to: URL(fileURLWithPath: path))
      await source.refresh()
      #expect(source.current?.miners.count == 4 && source.revision == 2)
    }
  }

  @Test("waits for a file that is not there yet")
  @IO func missing() async throws {
    try await Fixture.withFile("") { path in
      try FileManager.default.removeItem(atPath: path)
      let source = RosterSource(.file(path: path), log: Fixture.quiet)
      await source.refresh()
      #expect(source.current == nil)
      try Data(Fixture.rosterText(Fixture.miners(2)).utf8).write(to: URL(fileURLWithPath: path))
      await source.refresh()
      #expect(source.current?.miners.count == 2)
    }
  }

  @Test("takes a command's output, unless the command fails")
  @IO func command() async throws {
    try await Fixture.withFile(Fixture.rosterText(Fixture.miners(2))) { path in
      let good = RosterSource(.command("cat '\(path)'", everySeconds: 60), log: Fixture.quiet)
      await good.refresh()
      await good.refresh()
      #expect(good.current?.miners.count == 2 && good.revision == 1)
      let failing = RosterSource(.command("cat '\(path)'; exit 3", everySeconds: 60), log: Fixture.quiet)
      await failing.refresh()
      #expect(failing.current == nil)
    }
  }
}
