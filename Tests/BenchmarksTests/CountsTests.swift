import Common
import Testing

@testable import vision_bench

@Suite("Counts of instructions")
struct CountsTests {
  static let whole = "# a comment\nclaim 10\nquery 20\nrequest 30\ntoken 40\nburst_token 5\n"

  @Test("the file has a count for each path")
  @IO func parses() throws {
    let counts = try CountsBench.parse(CountsTests.whole)
    #expect(counts.count == CountsWork.allCases.count)
    #expect(counts["token"] == 40)
  }

  @Test(
    "a file that lacks a path, or holds something else, is refused",
    arguments: ["claim 10\n", whole + "token\n", whole + "token x\n", whole + "token 0\n"])
  @IO func refuses(text: String) {
    #expect(throws: BenchFailure.self) { try CountsBench.parse(text) }
  }

  @Test("a count may be five percent off, either way")
  func tolerance() {
    let aim = Aim.within(1_000, CountsBench.tolerance)
    #expect(aim.holds(950) && aim.holds(1_050))
    #expect(!aim.holds(949) && !aim.holds(1_051))
  }
}
