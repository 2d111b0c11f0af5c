import Common
import Foundation

/// The body of `POST /check-result`, as `core/models.py` of rayonlabs/vision-workers declares it.
struct CheckRequest {
  var serverNeeded: String
  /// Nil passes validation and then makes the check fail, as it does in the original.
  var modelConfig: JSON?
  var checkingFunction: String
  var result: JSON
  var payload: JSON

  /// The key of the verdict: the node id that was sent, as text.
  var nodeKey: String { result["node_id"]?.int.map { String($0) } ?? "None" }
  /// What is to be loaded before the check can run.
  var model: String { serverNeeded + "/" + (modelConfig?["model"]?.text ?? "") }
}

/// A body that does not have the declared form; `detail` is what pydantic would say about it.
struct Unprocessable: Error {
  var detail: [JSON]

  /// The answer's body.
  var body: JSON { .object(["detail": .array(detail)]) }
}

extension CheckRequest {
  private enum Form: String {
    case string = "string_type"
    case integer = "int_type"
    case number = "float_type"
    case boolean = "bool_type"
    case object = "dict_type"
    case any

    func fits(_ value: JSON) -> Bool {
      switch self {
      case .string: return value.text != nil
      case .integer: return value.int != nil
      case .number: return value.double != nil
      case .boolean: return value.flag != nil
      case .object: if case .object = value { return true } else { return false }
      case .any: return true
      }
    }
  }

  private struct Field {
    var path: [String]
    var form: Form
    var isOptional = false
  }

  /// Optional fields have no default in the original: they must be there, if only as null.
  private static let fields = [
    Field(path: ["server_config"], form: .object),
    Field(path: ["server_config", "server_needed"], form: .string),
    Field(path: ["server_config", "load_model_config"], form: .object, isOptional: true),
    Field(path: ["server_config", "checking_function"], form: .string),
    Field(path: ["server_config", "task"], form: .string),
    Field(path: ["server_config", "endpoint"], form: .string),
    Field(path: ["result"], form: .object),
    Field(path: ["result", "formatted_response"], form: .any, isOptional: true),
    Field(path: ["result", "node_id"], form: .integer, isOptional: true),
    Field(path: ["result", "node_hotkey"], form: .string, isOptional: true),
    Field(path: ["result", "response_time"], form: .number, isOptional: true),
    Field(path: ["result", "stream_time"], form: .number, isOptional: true),
    Field(path: ["result", "task"], form: .string, isOptional: true),
    Field(path: ["result", "status_code"], form: .integer, isOptional: true),
    Field(path: ["result", "success"], form: .boolean, isOptional: true),
    Field(path: ["payload"], form: .object),
  ]

  /// Reads and validates a body. Throws ``Unprocessable`` with every complaint.
  init(body: [UInt8]) throws(Unprocessable) {
    guard let root = try? JSON(parsing: Data(body)) else {
      let complaint = CheckRequest.complaint("json_invalid", ["body", "0"], "JSON decode error")
      throw Unprocessable(detail: [complaint])
    }
    var detail: [JSON] = []
    for field in CheckRequest.fields {
      if let complaint = CheckRequest.complaint(about: field, in: root) { detail.append(complaint) }
    }
    let server = root["server_config"]
    if let needed = server?["server_needed"]?.text, !["llm_server", "image_server"].contains(needed) {
      detail.append(
        CheckRequest.complaint(
          "enum", ["body", "server_config", "server_needed"],
          "Input should be 'llm_server' or 'image_server'"))
    }
    guard detail.isEmpty, let server, let result = root["result"], let payload = root["payload"] else {
      throw Unprocessable(detail: detail)
    }
    serverNeeded = server["server_needed"]?.text ?? ""
    modelConfig = server["load_model_config"] == .null ? nil : server["load_model_config"]
    checkingFunction = server["checking_function"]?.text ?? ""
    self.result = result
    self.payload = payload
  }

  private static func complaint(about field: Field, in root: JSON) -> JSON? {
    var value: JSON? = root
    for (depth, key) in field.path.enumerated() {
      // A missing parent is complained about once, by itself.
      if depth > 0, value == nil { return nil }
      value = value?[key]
    }
    let place = ["body"] + field.path
    guard let value else { return complaint("missing", place, "Field required") }
    if value == .null, field.isOptional { return nil }
    guard !field.form.fits(value) else { return nil }
    return complaint(field.form.rawValue, place, "Input should be a valid \(field.form)")
  }

  private static func complaint(_ type: String, _ place: [String], _ message: String) -> JSON {
    .object([
      "type": .string(type), "loc": .array(place.map(JSON.string)), "msg": .string(message), "input": .null,
    ])
  }
}
