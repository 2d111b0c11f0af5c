import Testing

@testable import Vision

@Suite("What became of users' requests in a demo")
struct DemoUsersTests {
  @Test("is one line, with whatever ended first that ended most")
  func line() {
    var users = DemoUsers()
    #expect(users.line == nil)
    for id in ["a", "b", "c"] { users.submit(id) }
    users.note("a", [["n": "1", "data": "x"], ["end": "done", "first_ms": "30"]])
    users.note("b", [["end": "error", "status": "429"]])
    users.note("c", [["n": "1"], ["n": "2"], ["end": "done", "first_ms": "50"]])
    #expect(
      users.line == "3 users' requests: 2 done, 1 error 429; first content after 50 ms in the median")
    #expect(users.problems == [])
  }

  @Test("is a problem when one did not end")
  func open() {
    var users = DemoUsers()
    users.submit("a")
    users.submit("b")
    users.note("a", [["end": "done"]])
    users.note("never submitted", [["end": "done"]])
    #expect(users.open == ["b"] && users.ended == ["done": 1])
    #expect(users.problems == ["1 users' requests did not end"])
  }

  @Test(
    "is a problem when a reply has a gap, a piece twice, two ends or one in the middle",
    arguments: [
      [["n": "1"], ["n": "3"], ["end": "done"]], [["n": "1"], ["n": "1"], ["end": "done"]],
      [["n": "2"], ["end": "done"]], [["end": "done"], ["end": "done"]], [["end": "done"], ["n": "1"]],
      [["data": "x"], ["end": "done"]],
    ])
  func faults(entries: [[String: String]]) {
    var users = DemoUsers()
    users.submit("a")
    users.note("a", entries)
    #expect(users.problems.count == 1 && users.problems[0].hasPrefix("reply of a: "))
  }
}
