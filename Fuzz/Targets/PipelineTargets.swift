import Aggregator
import Common
import Foundation
import Workers

/// What programs of ours read back from Redis and from files, which others could have changed.
extension FuzzTarget {
  static let pipeline = [
    FuzzTarget(name: "reports", tokens: ["1\n", "\nhk1 ", " 0 1 2 3 4 5 6 7 8 9 10"]) { bytes in
      let reports = MinerReportText.decode(bytes)
      try expect(reports.count <= Router.reportedMax, "too many miners")
      let again = MinerReportText.decode(MinerReportText.encode(reports))
      let third = MinerReportText.decode(MinerReportText.encode(again))
      try expect(third == again, "reads back as something else")
      var router = Router()
      router.adopt(
        task: "chat", reports: [(ageMilliseconds: 5, miners: reports)], now: Monotonic(nanoseconds: 1 << 40))
      _ = router.report(task: "chat", now: Monotonic(nanoseconds: 1 << 41))
    },
    FuzzTarget(
      name: "ledger",
      tokens: [
        "\u{1e}", "\u{1f}", "v\u{1f}1", "type\u{1f}attempt", "type\u{1f}verdict", "type\u{1f}closed",
        "type\u{1f}skip",
        "type\u{1f}dead", "outcome\u{1f}ok", "work\u{1f}", "units\u{1f}", "total_ms\u{1f}", "score\u{1f}",
        "s:1700000000:chat:0:0", "period\u{1f}1700000000", "settles\u{1f}1", "first_ms\u{1f}",
      ]
    ) { bytes in
      // Entries with the separator of records between, fields and values with that of units.
      var state = FoldState()
      for (number, part) in bytes.split(separator: 0x1e).prefix(50).enumerated() {
        let words = part.split(separator: 0x1f, omittingEmptySubsequences: false).map {
          String(decoding: $0, as: UTF8.self)
        }
        var fields: [String: String] = [:]
        for index in stride(from: 0, to: words.count - 1, by: 2) { fields[words[index]] = words[index + 1] }
        guard let entry = LedgerCodec.entry(fields) else { continue }
        if let result = state.apply(entry, id: "1700000100000-\(number + 1)") {
          let encoded = try JSONEncoder().encode(result)
          try expect(!encoded.isEmpty, "a result that cannot be written")
        }
      }
      // Slow beside the rest.
      guard bytes.count % 8 == 0 else { return }
      let encoded = try state.encoded()
      try expect(
        try FoldState(decoding: encoded).encoded() == encoded, "a state reads back as something else")
    },
    FuzzTarget(
      name: "fold",
      tokens: ["\"rows\":{", "\"history\":{", "\"open\":[", "\"version\":", "\"last_id\":", "AAAA", "gA=="]
    ) {
      bytes in
      guard let state = try? FoldState(decoding: Data(bytes)) else { return }
      let encoded = try state.encoded()
      try expect(
        try FoldState(decoding: encoded).encoded() == encoded, "a state reads back as something else")
    },
    FuzzTarget(
      name: "segment",
      tokens: [
        "\n", "{\"format\":", "\"version\":1", "\"from\":\"", "{\"id\":\"1-1\",\"fields\":{", "{\"end\":{",
        "\"chain\":\"",
      ]
    ) { bytes in
      var reader = SegmentReader()
      for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).prefix(1_000) {
        guard let read = try? reader.read(Array(line)) else { continue }
        _ = LedgerCodec.entry(read.fields)
      }
    },
    FuzzTarget(name: "names", tokens: ["s:", "1700000000", ":chat:", ":0", "-", "18446744073709551615"]) {
      bytes in
      let text = String(decoding: bytes, as: UTF8.self)
      if let job = SyntheticJob(id: text) {
        try expect(SyntheticJob(id: job.description) == job, "a job's name reads back as another")
      }
      if let id = LedgerID(text) {
        try expect(LedgerID(id.description) == id, "an entry's name reads back as another")
      }
      _ = PeriodID(text)
    },
  ]
}
