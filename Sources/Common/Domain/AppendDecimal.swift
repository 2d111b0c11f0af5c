extension [UInt8] {
  /// Appends a number that is not negative in decimal digits, without making a string of it.
  mutating func appendDecimal(_ value: Int) {
    if value >= 10 { appendDecimal(value / 10) }
    append(UInt8(ascii: "0") + UInt8(value % 10))
  }
}
