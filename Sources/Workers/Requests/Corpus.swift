import Common

/// The sentences from which synthetic queries are made.
struct Corpus: Sendable {
  /// Whole sentences.
  let sentences: [String]
  /// Parts of picture prompts.
  let subjects: [String]
  /// How a picture is to look.
  let styles: [String]
  /// The light in a picture.
  let lights: [String]

  /// Most bytes of a corpus file.
  static let bytesMax = 16 << 20

  /// Why a corpus cannot be used.
  struct Invalid: Error, Equatable, CustomStringConvertible {
    let description: String
  }

  /// The corpus that ships with the program.
  static let builtIn: Corpus = {
    guard let corpus = try? Corpus(parsing: PackageResources.corpus_txt) else {
      preconditionFailure("the built-in corpus is invalid")
    }
    return corpus
  }()

  /// Reads a corpus: a sentence a line, `#` begins a comment; below a line `[images]`, lines that begin
  /// with `subject:`, `style:` or `light:`.
  init(parsing bytes: [UInt8]) throws(Invalid) {
    guard bytes.count <= Corpus.bytesMax else {
      throw Invalid(description: "the corpus is larger than \(Corpus.bytesMax) bytes")
    }
    var sentences: [String] = []
    var parts: [String: [String]] = [:]
    var isImages = false
    for line in String(decoding: bytes, as: UTF8.self).filledLines where !line.hasPrefix("#") {
      if line == "[images]" {
        isImages = true
      } else if !isImages {
        sentences.append(String(line))
      } else if let colon = line.firstIndex(of: ":") {
        let text = line[line.index(after: colon)...].drop { $0 == " " }
        parts[String(line[..<colon]), default: []].append(String(text))
      }
    }
    guard sentences.count >= 20 else {
      throw Invalid(description: "the corpus has \(sentences.count) sentences; at least 20 are needed")
    }
    for kind in ["subject", "style", "light"] where parts[kind, default: []].isEmpty {
      throw Invalid(description: "the corpus has no line '\(kind): …' below [images]")
    }
    self.sentences = sentences
    subjects = parts["subject", default: []]
    styles = parts["style", default: []]
    lights = parts["light", default: []]
  }

  /// A sentence.
  func sentence(_ random: inout SeededRandom) -> String { sentences[random.below(sentences.count)] }

  /// A sentence with a drawn number, of the kind that people mention anyway.
  func distinctSentence(_ random: inout SeededRandom) -> String {
    let number = 100_000 + random.below(900_000_000)
    switch random.below(5) {
    case 0: return "My reference number is \(number)."
    case 1: return "This is about order \(number), in case that matters."
    case 2: return "I am reading record \(number) of the archive."
    case 3: return "The file is called draft-\(number).txt."
    default: return "Please treat this as question \(number) of my collection."
    }
  }

  /// A picture prompt; four drawn letters at its end make it unlike any other.
  func imagePrompt(_ random: inout SeededRandom) -> String {
    let subject = subjects[random.below(subjects.count)]
    let light = lights[random.below(lights.count)]
    let style = styles[random.below(styles.count)]
    let letters = (random.below(26), random.below(26), random.below(26), random.below(26))
    let parts = [subject, " ", light, ", ", style, ", signed "]
    return String(unsafeUninitializedCapacity: parts.reduce(4) { $0 + $1.utf8.count }) { bytes in
      var at = 0
      for part in parts {
        var part = part
        part.withUTF8 { at = bytes[at...].update(fromContentsOf: $0) }
      }
      for letter in [letters.0, letters.1, letters.2, letters.3] {
        bytes[at] = UInt8(97 + letter)
        at += 1
      }
      return at
    }
  }
}
