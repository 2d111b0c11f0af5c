import Common

/// Writes the requests that miners get: one builder for organic and synthetic queries, so that a miner sees
/// the same fields, in the same order, with the same headers.
package enum RequestBuilder {
  /// The body for a task.
  package static func body(_ task: TaskConfig, _ parameters: QueryParameters) -> [UInt8] {
    var json = JSONWriter()
    json.beginObject()
    switch task.shape {
    case .chat:
      json.key("messages")
      json.beginArray()
      for message in parameters.messages {
        json.beginObject()
        json.member("role", message.role)
        json.member("content", message.content)
        json.endObject()
      }
      json.endArray()
      writeTextFields(&json, task, parameters)
    case .completion:
      json.member("prompt", parameters.prompt)
      writeTextFields(&json, task, parameters)
    case .textToImage, .imageToImage, .inpaint, .avatar:
      writeImageFields(&json, task, parameters)
    case .clipEmbeddings:
      json.key("image_b64s")
      json.beginArray()
      for image in parameters.images { json.string(image) }
      json.endArray()
      json.member("model", task.model)
    }
    json.endObject()
    // Kept while the answer comes: without the room to grow.
    return json.bytes.withUnsafeBufferPointer { [UInt8]($0) }
  }

  /// Log probabilities and a seed are always asked for: a checking server needs them, and nobody can tell
  /// a test by them.
  private static func writeTextFields(
    _ json: inout JSONWriter, _ task: TaskConfig, _ parameters: QueryParameters
  ) {
    json.member("temperature", parameters.temperature)
    json.member("seed", parameters.seed)
    json.member("model", task.model)
    json.member("stream", true)
    json.member("logprobs", true)
    json.member("top_p", parameters.topP)
    json.member("top_k", 5)
    json.member("max_tokens", parameters.maxTokens)
  }

  private static func writeImageFields(
    _ json: inout JSONWriter, _ task: TaskConfig, _ parameters: QueryParameters
  ) {
    json.member("prompt", parameters.prompt)
    json.member("negative_prompt", parameters.negativePrompt)
    json.member("seed", parameters.seed)
    json.member("steps", parameters.steps)
    if task.shape == .avatar {
      json.member("ipadapter_strength", parameters.ipadapterStrength)
      json.member("control_strength", parameters.controlStrength)
    } else {
      json.member("cfg_scale", parameters.cfgScale)
    }
    json.member("width", parameters.width)
    json.member("height", parameters.height)
    if task.shape == .imageToImage { json.member("image_strength", parameters.imageStrength) }
    if task.shape != .textToImage { json.member("init_image", parameters.initImage) }
    if task.shape == .inpaint { json.member("mask_image", parameters.maskImage) }
    json.member("model", task.model)
  }

  /// The headers of all requests of a worker, by what they accept.
  struct Headers {
    fileprivate let stream: HTTPHeaders
    fileprivate let plain: HTTPHeaders

    /// - Parameter bearer: what the worker authorizes itself with, if anything.
    init(bearer: Redacted?) {
      stream = Headers.make(accept: "text/event-stream", bearer)
      plain = Headers.make(accept: "application/json", bearer)
    }

    private static func make(accept: String, _ bearer: Redacted?) -> HTTPHeaders {
      var fields = [(name: "Content-Type", value: "application/json"), (name: "Accept", value: accept)]
      if let bearer { fields.append((name: "Authorization", value: "Bearer " + bearer.reveal())) }
      return HTTPHeaders(fields)
    }
  }

  /// The whole request to one miner.
  static func request(
    _ task: TaskConfig, address: String, body: [UInt8], headers: Headers
  ) -> HTTPRequest {
    HTTPRequest(
      method: .post, url: address + task.path, headers: task.streams ? headers.stream : headers.plain,
      body: body)
  }
}
