extension String {
  /// The lines that hold anything. By bytes: a split by characters takes twenty times as long, and a program reads
  /// all its scripts when it starts.
  public var filledLines: [Substring] { utf8.split(separator: UInt8(ascii: "\n")).map { Substring($0) } }
}
