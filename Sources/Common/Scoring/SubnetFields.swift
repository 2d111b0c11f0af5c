/// Reads the fields of a ``SubnetInput`` with errors that name the field and the miner.
struct SubnetFields {
  let json: JSON
  let order: JSON.KeyOrder
  let path: [String]
  let name: String?

  private func error(_ field: String, miner: String? = nil, _ problem: String) -> SubnetInputError {
    SubnetInputError(of: name, field: field, miner: miner, problem: problem)
  }

  /// The members of an object in the order of the text, or of their names when it is not known.
  private func members(_ names: [String]) throws(SubnetInputError) -> [(key: String, value: JSON)] {
    var value = json
    for (depth, name) in names.enumerated() {
      guard let inner = value[name] else {
        // A field may lack a task, but not be missing itself.
        if depth > 0 { return [] }
        throw error(name, hint(missing: name))
      }
      value = inner
    }
    guard case .object(let members) = value else {
      throw error(names.joined(separator: "."), "must be an object")
    }
    var seen: Set<String> = []
    let keys = order.keys(at: path + names)
    return (keys.isEmpty ? members.keys.sorted() : keys).compactMap { key in
      guard seen.insert(key).inserted, let value = members[key] else { return nil }
      return (key, value)
    }
  }

  /// The other profile's layout is the likeliest mistake.
  private func hint(missing field: String) -> String {
    if json["contenders"] != nil { return "is missing; with \"contenders\" it is of profile nineteen" }
    if json["task_weights"] != nil { return "is missing; with \"task_weights\" it is of profile vision" }
    return "is missing"
  }

  private func number(
    _ json: JSON?, _ field: String, miner: String? = nil
  ) throws(SubnetInputError) -> Double {
    guard let value = json?.real else { throw error(field, miner: miner, "must be a number") }
    return value
  }

  private func optional(
    _ json: JSON, _ field: String, miner: String
  ) throws(SubnetInputError) -> Double? {
    if json == .null { return nil }
    guard let value = json.real else { throw error(field, miner: miner, "must be a number or null") }
    return value
  }

  private func list(
    _ json: JSON?, _ field: String, miner: String? = nil
  ) throws(SubnetInputError) -> [JSON] {
    guard case .array(let elements)? = json else { throw error(field, miner: miner, "must be an array") }
    return elements
  }

  /// `[[score or null, volume], …]`, newest first.
  private func history(_ task: String) throws(SubnetInputError) -> [String: [HistoryRecord]] {
    var history: [String: [HistoryRecord]] = [:]
    for (hotkey, records) in try members(["period_scores", task]) {
      let field = "period_scores.\(task)"
      var list: [HistoryRecord] = []
      for (index, record) in try self.list(records, field, miner: hotkey).enumerated() {
        let field = "\(field)[\(index)]"
        guard case .array(let pair) = record, pair.count == 2 else {
          throw error(field, miner: hotkey, "must be [score or null, volume]")
        }
        list.append(
          HistoryRecord(
            score: try optional(pair[0], field + "[0]", miner: hotkey),
            volume: try number(pair[1], field + "[1]", miner: hotkey)))
      }
      history[hotkey] = list
    }
    return history
  }

  private func checkCount(tasks: Int) throws(SubnetInputError) {
    guard tasks <= SubnetInput.tasksMax else {
      throw error("tasks", "there are \(tasks), at most \(SubnetInput.tasksMax)")
    }
  }

  // MARK: vision

  /// `task_weights`, `capacities` by task and uid, `hotkeys` by uid, `rewards` by task and hotkey as
  /// `[[quality, speed factor], …]`, `period_scores` by task and hotkey.
  func visionTasks() throws(SubnetInputError) -> [SubnetInput.Task] {
    let weights = try members(["task_weights"])
    try checkCount(tasks: weights.count)
    // Each must be there even when no task asks for it.
    for field in ["capacities", "hotkeys", "rewards", "period_scores"] { _ = try members([field]) }
    let known = Set(weights.map(\.key))
    for field in ["capacities", "rewards", "period_scores"] {
      for (task, _) in try members([field]) where !known.contains(task) {
        throw error("\(field).\(task)", "is no task of task_weights")
      }
    }
    var tasks: [SubnetInput.Task] = []
    for (task, weight) in weights {
      tasks.append(
        SubnetInput.Task(
          name: task, weight: try number(weight, "task_weights.\(task)"), claims: try visionClaims(task),
          verdicts: try visionVerdicts(task), history: try history(task)))
    }
    return tasks
  }

  private func visionClaims(_ task: String) throws(SubnetInputError) -> [SubnetInput.Claim] {
    let field = "capacities.\(task)"
    var claims: [SubnetInput.Claim] = []
    var seen: Set<String> = []
    for (uid, capacity) in try members(["capacities", task]) {
      guard let number = Int(uid) else { throw error(field, miner: uid, "the key must be a uid") }
      guard let hotkey = json["hotkeys"]?[uid]?.text else {
        throw error("hotkeys", miner: uid, "must hold the hotkey of every uid in capacities")
      }
      guard seen.insert(hotkey).inserted else {
        throw error("hotkeys", miner: hotkey, "has two uids at task \(task)")
      }
      let value = try self.number(capacity, field, miner: hotkey)
      claims.append(SubnetInput.Claim(hotkey: hotkey, uid: number, capacity: value))
    }
    guard claims.count <= SubnetInput.minersMax else {
      throw error(field, "has \(claims.count) miners, at most \(SubnetInput.minersMax)")
    }
    return claims
  }

  private func visionVerdicts(_ task: String) throws(SubnetInputError) -> [SubnetInput.Verdicts] {
    var verdicts: [SubnetInput.Verdicts] = []
    for (hotkey, rows) in try members(["rewards", task]) {
      let field = "rewards.\(task)"
      var list: [QualityRow] = []
      for (index, row) in try self.list(rows, field, miner: hotkey).enumerated() {
        let field = "\(field)[\(index)]"
        guard case .array(let pair) = row, pair.count == 2 else {
          throw error(field, miner: hotkey, "must be [quality, speed factor or null]")
        }
        list.append(
          QualityRow(
            quality: try number(pair[0], field + "[0]", miner: hotkey),
            speed: try optional(pair[1], field + "[1]", miner: hotkey)))
      }
      verdicts.append(
        SubnetInput.Verdicts(hotkey: hotkey, rows: list, streamMetrics: list.map { _ in nil }))
    }
    return verdicts
  }

  // MARK: nineteen

  /// `tasks` by name with `weight`, `contenders` as a list of `hotkey`, `node_id`, `task` and `capacity`,
  /// `rewards` by task as `[[hotkey, quality, metric, stream metric], …]`, `period_scores` by task and hotkey.
  func nineteenTasks() throws(SubnetInputError) -> [SubnetInput.Task] {
    let configured = try members(["tasks"])
    try checkCount(tasks: configured.count)
    for field in ["rewards", "period_scores"] {
      for (task, _) in try members([field]) where json["tasks"]?[task] == nil {
        throw error("\(field).\(task)", "is no task of tasks")
      }
    }
    var claims = try contenders()
    var tasks: [SubnetInput.Task] = []
    for (task, settings) in configured {
      tasks.append(
        SubnetInput.Task(
          name: task, weight: try number(settings["weight"], "tasks.\(task).weight"),
          claims: claims.removeValue(forKey: task) ?? [], verdicts: try nineteenVerdicts(task),
          history: try history(task)))
    }
    return tasks
  }

  /// The contenders by task.
  private func contenders() throws(SubnetInputError) -> [String: [SubnetInput.Claim]] {
    guard let listed = json["contenders"] else { throw error("contenders", hint(missing: "contenders")) }
    let entries = try list(listed, "contenders")
    guard entries.count <= SubnetInput.minersMax * 16 else {
      throw error("contenders", "has \(entries.count) entries, at most \(SubnetInput.minersMax * 16)")
    }
    var claims: [String: [SubnetInput.Claim]] = [:]
    var seen: Set<[String]> = []
    for (index, entry) in entries.enumerated() {
      let field = "contenders[\(index)]"
      guard let hotkey = entry["hotkey"]?.text else { throw error("\(field).hotkey", "must be a text") }
      guard let uid = entry["node_id"]?.int else {
        throw error("\(field).node_id", miner: hotkey, "must be a whole number")
      }
      guard let task = entry["task"]?.text, json["tasks"]?[task] != nil else {
        throw error("\(field).task", miner: hotkey, "must be one of tasks")
      }
      guard seen.insert([task, hotkey]).inserted else {
        throw error(field, miner: hotkey, "stands there twice for task \(task)")
      }
      let capacity = try number(entry["capacity"], "\(field).capacity", miner: hotkey)
      claims[task, default: []].append(SubnetInput.Claim(hotkey: hotkey, uid: uid, capacity: capacity))
    }
    return claims
  }

  private func nineteenVerdicts(_ task: String) throws(SubnetInputError) -> [SubnetInput.Verdicts] {
    guard let listed = json["rewards"]?[task] else { return [] }
    var verdicts: [SubnetInput.Verdicts] = []
    var places: [String: Int] = [:]
    for (index, row) in try list(listed, "rewards.\(task)").enumerated() {
      let field = "rewards.\(task)[\(index)]"
      guard case .array(let parts) = row, parts.count == 4, let hotkey = parts[0].text else {
        throw error(
          field, miner: row[0]?.text, "must be [hotkey, quality, metric or null, stream metric or null]")
      }
      let place = places[hotkey] ?? verdicts.count
      if place == verdicts.count {
        places[hotkey] = place
        verdicts.append(SubnetInput.Verdicts(hotkey: hotkey, rows: [], streamMetrics: []))
      }
      verdicts[place].rows.append(
        QualityRow(
          quality: try number(parts[1], field + "[1]", miner: hotkey),
          speed: try optional(parts[2], field + "[2]", miner: hotkey)))
      verdicts[place].streamMetrics.append(try optional(parts[3], field + "[3]", miner: hotkey))
    }
    return verdicts
  }
}
