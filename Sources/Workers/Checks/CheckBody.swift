import Common
import Foundation

/// The body of `POST /check-result`. All fields that the server declares are there, since a missing one is
/// refused even where null is allowed (rayonlabs/vision-workers, `validator_orchestrator/app/core/models.py`).
struct CheckBody {
  /// The request as the miner got it, as JSON.
  let request: ArraySlice<UInt8>
  /// The answer as the miner gave it, as JSON: for text a list of stream chunks.
  let answer: ArraySlice<UInt8>

  /// Takes an offered sample apart: one line is the request, the rest the answer. nil when it is not so.
  init?(sample: [UInt8]) {
    guard let end = sample.firstIndex(of: UInt8(ascii: "\n")), end > 0, end + 1 < sample.count else {
      return nil
    }
    request = sample[..<end]
    answer = sample[(end + 1)...]
  }

  /// The whole body. Request and answer are copied as they are: both were validated when they were kept.
  /// - Parameters:
  ///   - server: the task's `checking` member, as JSON.
  ///   - nodeID: comes back as the key of the verdict.
  ///   - createdMilliseconds: Unix time.
  func json(server: String, entry: AttemptEntry, nodeID: Int, createdMilliseconds: Int) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    json.key("server_config")
    json.raw(server.utf8)
    json.key("payload")
    json.raw(request)
    json.key("result")
    json.beginObject()
    json.key("formatted_response")
    json.raw(answer)
    json.member("node_id", nodeID)
    json.member("node_hotkey", entry.hotkey)
    json.member("response_time", Double(entry.totalMilliseconds) / 1000)
    json.key("stream_time")
    if let first = entry.firstContentMilliseconds {
      json.raw(String(Double(max(0, entry.totalMilliseconds - first)) / 1000).utf8)
    } else {
      json.raw("null".utf8)
    }
    json.member("task", entry.task)
    json.member("status_code", entry.status)
    json.member("success", entry.outcome == .ok)
    json.member("created_at", CheckBody.timestamp(createdMilliseconds))
    json.endObject()
    json.endObject()
    return json.bytes
  }

  /// UTC without a zone, as Python's `datetime.isoformat` writes it.
  static func timestamp(_ milliseconds: Int) -> String {
    let date = Date(timeIntervalSince1970: Double(milliseconds / 1000))
    let fraction = String(String(milliseconds % 1000 + 1000).dropFirst())
    return date.formatted(.iso8601.year().month().day().time(includingFractionalSeconds: false)) + "."
      + fraction + "000"
  }
}
