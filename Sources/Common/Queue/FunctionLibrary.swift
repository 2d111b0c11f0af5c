import Foundation

/// The door for gateways: the scripts that users' requests need, as Redis Functions that can be called from
/// any language. docs/GATEWAY.md is their manual.
///
/// A version is never replaced: gateways call functions by their names, and a function does tomorrow what it
/// does today. A change of what they take or answer gets a new library with new names, beside this one.
public enum FunctionLibrary {
  /// The version in all names.
  public static let version = 1
  /// The library's name. The engine is Redis's Lua; the code knows no namespace and no shard.
  public static let name = "vision_v\(version)"

  /// Scripts that are published, with the flags and the description of their functions.
  private static let published: [(script: Script, flags: String, about: String)] = [
    (.submit, "'allow-oom'", "Push a request: id, task, payload, then name and value pairs."),
    (.cancel, "'allow-oom'", "End a request at the user's wish: id."),
    (.status, "'no-writes', 'allow-stale'", "Where a request stands: id."),
  ]

  /// The names of the functions.
  public static var functions: [String] { published.map { "vision_\($0.script.rawValue)_v\(version)" } }

  /// What became of the attempt to publish the library.
  public enum Installation: Sendable, Equatable {
    /// It was missing and is there now.
    case loaded
    /// It was there.
    case present
    /// A library of the same name with other code is there, and was left alone.
    case differs
  }

  /// Makes sure that the library is in Redis. One that is there is never touched.
  @IO public static func install(on redis: RedisClient) async throws(RedisError) -> Installation {
    if let known = try await code(on: redis) { return known == source ? .present : .differs }
    do throws(RedisError) {
      _ = try await redis.send(RedisCommand("FUNCTION", "LOAD", source))
      return .loaded
    } catch {
      // Another program may have been faster.
      guard let known = try await code(on: redis) else { throw error }
      return known == source ? .present : .differs
    }
  }

  /// Whether a library of this name is there, whatever its code.
  @IO public static func isPublished(on redis: RedisClient) async throws(RedisError) -> Bool {
    try await redis.send("FUNCTION", "LIST", "LIBRARYNAME", name).elements?.isEmpty == false
  }

  @IO private static func code(on redis: RedisClient) async throws(RedisError) -> String? {
    let reply = try await redis.send(
      RedisCommand("FUNCTION", "LIST", "LIBRARYNAME", name, "WITHCODE"))
    guard let library = reply.elements?.first?.elements else { return nil }
    for index in stride(from: 0, to: library.count - 1, by: 2) where library[index].text == "library_code" {
      return library[index + 1].text
    }
    return nil
  }

  /// The library's whole text: for each function the parts of the prelude that it needs and the script's own
  /// text, without comments. So a change elsewhere leaves a published version as it is. What a script has before its
  /// line `call:` is made when the library is loaded, and not at each call.
  public static let source = makeSource()

  private static func makeSource() -> String {
    var text = """
      #!lua name=\(name)
      local look_at, look_room, look_share, look_most = 0, 0, 0, 0
      local function look() \(Script.Clock.redis.memoryCode) end

      """
    for (script, flags, about) in published {
      let function = "vision_\(script.rawValue)_v\(version)"
      let parts = script.body.components(separatedBy: "\n-- call:\n")
      let body = Prelude.stripped(parts.last ?? "")
      let keys = script.keys.map { key in
        "local \(key.rawValue.replacingOccurrences(of: ":", with: "_"))_key = prefix .. '\(key.rawValue)'\n"
      }
      if parts.count > 1 { text += Prelude.stripped(parts[0]) }
      text += """
        local function \(function)(KEYS, ARGV)
        local prefix = #KEYS == 1 and string.match(KEYS[1], '^[^{}]+:{[^{}]+}:')
        if not prefix then
        return redis.error_reply('ERR \(function) needs one key, such as vision:{q}:organic')
        end
        \(keys.joined())local function now_ms() \(Script.Clock.redis.code) end
        \(memory(for: script))\(Prelude.needed(by: body))\(body)end
        redis.register_function{function_name='\(function)', callback=\(function),
        description="\(about)", flags={\(flags)}}

        """
    }
    return text
  }

  /// `memory_share`, which intake alone calls. `INFO memory` takes as long as all the rest of a submit, so what it said
  /// holds for 100 ms, or until submits took a hundredth of the memory.
  private static func memory(for script: Script) -> String {
    guard script.isIntake else { return "" }
    return """
      local function memory_share(now, bytes)
      look_room = look_room - bytes - 1000
      if now < look_at or now >= look_at + 100 or look_room < 0 then
      look_share, look_most = look()
      look_at, look_room = now, look_most / 100 - bytes
      end
      return look_share
      end

      """
  }
}
