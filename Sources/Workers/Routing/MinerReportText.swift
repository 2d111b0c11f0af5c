import Common

/// The bytes in which workers exchange reports: a first line with the version, then a line for each miner.
/// Workers of several versions may run beside each other, so what cannot be read is left out.
///
/// Written and read by hand: hundreds of miners at a dozen tasks come from every other worker each second.
package enum MinerReportText {
  private static let version = UInt8(ascii: "1")
  private static let space = UInt8(ascii: " ")
  private static let newline = UInt8(ascii: "\n")
  private static let numbersCount = 11
  private static let hotkeyBytesMax = 256

  // MARK: writing

  /// Nothing when there is nothing to tell.
  package static func encode(_ reports: [MinerReport]) -> [UInt8] {
    guard !reports.isEmpty else { return [] }
    var bytes = [version]
    bytes.reserveCapacity(2 + reports.count * 100)
    for report in reports where isName(report.hotkey) {
      bytes.append(newline)
      bytes.append(contentsOf: report.hotkey.utf8)
      append(report.inFlight, &bytes)
      // One more than the age, so that there is a number for none.
      append(report.ageMilliseconds.map { $0 + 1 } ?? 0, &bytes)
      append(report.firstMilliseconds, times: 10, &bytes)
      append(report.paceMilliseconds, times: 100, &bytes)
      append(report.earlyFailures, times: 10_000, &bytes)
      append(report.lateFailures, times: 10_000, &bytes)
      append(report.limit, times: 100, &bytes)
      append(report.failuresInRow, &bytes)
      append(report.ejections, &bytes)
      append(report.ejectedMilliseconds, &bytes)
      append(report.pausedMilliseconds, &bytes)
    }
    return bytes
  }

  private static func isName(_ hotkey: String) -> Bool {
    !hotkey.isEmpty && hotkey.utf8.count <= hotkeyBytesMax && hotkey.utf8.allSatisfy { $0 > space }
  }

  private static func append(_ number: Int, _ bytes: inout [UInt8]) {
    bytes.append(space)
    appendDigits(min(max(0, number), Int(Int32.max)), &bytes)
  }

  private static func append(_ number: Double, times factor: Double, _ bytes: inout [UInt8]) {
    append(Int(min(Double(Int32.max), max(0, number * factor)).rounded()), &bytes)
  }

  private static func appendDigits(_ number: Int, _ bytes: inout [UInt8]) {
    if number >= 10 { appendDigits(number / 10, &bytes) }
    bytes.append(UInt8(ascii: "0") + UInt8(number % 10))
  }

  // MARK: reading

  /// The miners of a report, 256 at most; none when it is of another version.
  package static func decode(_ bytes: [UInt8]) -> [MinerReport] {
    guard bytes.first == version, bytes.count > 1, bytes[1] == newline else { return [] }
    var reports: [MinerReport] = []
    var numbers = [Int](repeating: 0, count: numbersCount)
    for line in bytes[2...].split(separator: newline).prefix(Router.reportedMax) {
      guard let end = line.firstIndex(of: space), end > line.startIndex,
        end - line.startIndex <= hotkeyBytesMax, read(line[end...], &numbers)
      else { continue }
      reports.append(report(String(decoding: line[..<end], as: UTF8.self), numbers))
    }
    return reports
  }

  /// Reads the numbers, each after a space; false when they are more, fewer, or none.
  private static func read(_ text: ArraySlice<UInt8>, _ numbers: inout [Int]) -> Bool {
    var count = 0
    var digits = 0
    for byte in text {
      if byte == space {
        guard count < numbersCount, count == 0 || digits > 0 else { return false }
        numbers[count] = 0
        (count, digits) = (count + 1, 0)
      } else {
        guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), digits < 10 else { return false }
        numbers[count - 1] = numbers[count - 1] * 10 + Int(byte - UInt8(ascii: "0"))
        digits += 1
      }
    }
    return count == numbersCount && digits > 0
  }

  private static func report(_ hotkey: String, _ numbers: [Int]) -> MinerReport {
    MinerReport(
      hotkey: hotkey, inFlight: min(1_000_000, numbers[0]),
      ageMilliseconds: numbers[1] == 0 ? nil : numbers[1] - 1,
      firstMilliseconds: Double(numbers[2]) / 10, paceMilliseconds: Double(numbers[3]) / 100,
      earlyFailures: min(1, Double(numbers[4]) / 10_000), lateFailures: min(1, Double(numbers[5]) / 10_000),
      limit: Double(numbers[6]) / 100, failuresInRow: numbers[7], ejections: numbers[8],
      ejectedMilliseconds: numbers[9], pausedMilliseconds: numbers[10])
  }
}
