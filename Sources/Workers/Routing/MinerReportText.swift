import Common

/// The bytes in which workers exchange reports: a first line with the version, then a line for each miner.
/// Workers of several versions may run beside each other, so what cannot be read is left out.
enum MinerReportText {
  private static let version = "1"
  private static let fieldsCount = 12

  /// Nothing when there is nothing to tell.
  static func encode(_ reports: [MinerReport]) -> [UInt8] {
    guard !reports.isEmpty else { return [] }
    var text = version
    for report in reports where !report.hotkey.isEmpty && !report.hotkey.contains(where: \.isWhitespace) {
      let numbers = [
        report.inFlight, report.ageMilliseconds ?? -1, scaled(report.firstMilliseconds, 10),
        scaled(report.paceMilliseconds, 100), scaled(report.earlyFailures, 10_000),
        scaled(report.lateFailures, 10_000), scaled(report.limit, 100), report.failuresInRow,
        report.ejections, report.ejectedMilliseconds, report.pausedMilliseconds,
      ]
      text += "\n" + report.hotkey + " " + numbers.map(String.init).joined(separator: " ")
    }
    return Array(text.utf8)
  }

  /// The miners of a report, 256 at most; none when it is of another version.
  static func decode(_ bytes: [UInt8]) -> [MinerReport] {
    let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    guard lines.first == version[...] else { return [] }
    return lines.dropFirst().prefix(Router.reportedMax).compactMap { line in
      let words = line.split(separator: " ")
      let numbers = words.dropFirst().compactMap { Int($0) }
      guard words.count == fieldsCount, numbers.count == fieldsCount - 1,
        numbers.dropFirst(2).allSatisfy({ (0...Int(Int32.max)).contains($0) }),
        (0...1_000_000).contains(numbers[0]), (-1...Int(Int32.max)).contains(numbers[1])
      else { return nil }
      return MinerReport(
        hotkey: String(words[0]), inFlight: numbers[0], ageMilliseconds: numbers[1] < 0 ? nil : numbers[1],
        firstMilliseconds: Double(numbers[2]) / 10, paceMilliseconds: Double(numbers[3]) / 100,
        earlyFailures: min(1, Double(numbers[4]) / 10_000), lateFailures: min(1, Double(numbers[5]) / 10_000),
        limit: Double(numbers[6]) / 100, failuresInRow: numbers[7], ejections: numbers[8],
        ejectedMilliseconds: numbers[9], pausedMilliseconds: numbers[10])
    }
  }

  private static func scaled(_ value: Double, _ factor: Double) -> Int {
    Int(min(Double(Int32.max), max(0, value * factor)).rounded())
  }
}
