/// What scripts share. Redis makes each of its functions anew whenever a script runs, so a script gets those that it
/// uses, and a change elsewhere leaves the text of another one as it is.
enum Prelude {
  /// The definitions of `prelude.lua` in order: what each one defines, and its text.
  private static let blocks: [(name: Substring, text: String)] = {
    var blocks: [(name: Substring, text: String)] = []
    for line in String(decoding: PackageResources.prelude_lua, as: UTF8.self).filledLines {
      if line.hasPrefix("local "),
        let name = words(in: line.prefix { $0 != "(" }).first(where: { $0 != "local" && $0 != "function" })
      {
        blocks.append((name, String(line)))
      } else if !blocks.isEmpty {
        blocks[blocks.count - 1].text += "\n" + line
      }
    }
    return blocks.map { ($0.name, stripped($0.text)) }
  }()

  /// The definitions that `text` uses, and those that they use.
  static func needed(by text: String) -> String {
    var chosen: Set<Int> = []
    var pending = [text]
    while let next = pending.popLast() {
      let used = Set(words(in: next[...]))
      for (index, block) in blocks.enumerated() where used.contains(block.name) {
        if chosen.insert(index).inserted { pending.append(block.text) }
      }
    }
    return chosen.sorted().map { blocks[$0].text }.joined()
  }

  /// Without comments, indentation and empty lines.
  static func stripped(_ text: String) -> String {
    text.filledLines.map { $0.drop { $0 == " " } }.filter { !$0.isEmpty && !$0.hasPrefix("--") }
      .map { $0 + "\n" }.joined()
  }

  /// Names and numbers, in order. By hand: a regular expression took half of a program's start.
  private static func words(in text: Substring) -> [Substring] {
    let letters = Set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_".utf8)
    return text.utf8.split { !letters.contains($0) }.map { Substring($0) }
  }
}
