import Common

/// The tokens that simulated models speak: words, punctuation that JSON must escape, and characters of
/// two to four bytes, so that every parser on the way is exercised.
enum Vocabulary {
  static let tokens: [String] =
    words.map { " " + $0 } + [
      ".", ",", ";", ":", "!", "?", "\n", "\n\n", "\t", " \"", "\"", " \\", "'s", " (", ")", " –", " é",
      "è", " über", "ß", " naïve", " Привет", "мир", " 世界", "你", "好", " 日本", "語", " 🙂", "🚀", " €",
      "½", " <", ">", "</", " {", "}", "[", "]", "/",
    ]

  /// `tokens`, as they stand inside a JSON string.
  static let escaped: [[UInt8]] = tokens.map { token in
    // The encoder leaves every character above ASCII as it is, as the servers that we imitate do.
    Array(JSON.string(token).canonicalText().utf8.dropFirst().dropLast())
  }

  /// Volume of an average token: characters (Unicode code points) / 4.
  static let meanVolume =
    Double(tokens.reduce(0) { $0 + $1.unicodeScalars.count }) / Double(tokens.count) / 4

  private static let words = [
    "the", "of", "and", "a", "to", "in", "is", "you", "that", "it", "he", "was", "for", "on", "are", "as",
    "with", "his", "they", "I", "at", "be", "this", "have", "from", "or", "one", "had", "by", "word", "but",
    "not", "what", "all", "were", "we", "when", "your", "can", "said", "there", "use", "an", "each", "which",
    "she", "do", "how", "their", "if", "will", "up", "other", "about", "out", "many", "then", "them",
    "these", "so", "some", "her", "would", "make", "like", "him", "into", "time", "has", "look", "two",
    "more", "write", "go", "see", "number", "no", "way", "could", "people", "my", "than", "first", "water",
    "been", "call", "who", "oil", "its", "now", "find", "long", "down", "day", "did", "get", "come", "made",
    "may", "part", "mountain", "river", "language", "question", "answer", "remember", "something",
    "together", "different", "important",
  ]
}
