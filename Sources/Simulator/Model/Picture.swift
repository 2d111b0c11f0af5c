import Common
import Foundation

/// A small PNG (RFC 2083) whose pixels are stored without compression, so that reading it back needs
/// no decoder: the pixels are where they were put.
enum Picture {
  private static let signature: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]

  /// The PNG of `pixels` (red, green, blue), `side` wide and high. Precondition: `side` is 1 to 128.
  static func png(pixels: [UInt8], side: Int) -> [UInt8] {
    precondition((1...128).contains(side) && pixels.count == side * side * 3)
    var rows: [UInt8] = []
    for row in 0..<side { rows += [0] + pixels[(row * side * 3)..<((row + 1) * side * 3)] }
    let length = UInt16(rows.count)
    var data: [UInt8] = [0x78, 0x01, 0x01]  // zlib header, then one last, stored block
    data += [UInt8(length & 0xff), UInt8(length >> 8), UInt8(~length & 0xff), UInt8(~length >> 8)]
    data += rows + bigEndian(adler32(rows))
    let header = bigEndian(UInt32(side)) + bigEndian(UInt32(side)) + [8, 2, 0, 0, 0]
    return signature + chunk("IHDR", header) + chunk("IDAT", data) + chunk("IEND", [])
  }

  /// The pixels of a PNG that ``png(pixels:side:)`` made; nil for any other bytes.
  static func pixels(png bytes: [UInt8], side: Int) -> [UInt8]? {
    let start = signature.count + 25 + 8 + 7
    let rowLength = side * 3 + 1
    guard bytes.count == start + side * rowLength + 4 + 4 + 12 else { return nil }
    var pixels: [UInt8] = []
    for row in 0..<side {
      let rowStart = start + row * rowLength + 1
      pixels += bytes[rowStart..<(rowStart + side * 3)]
    }
    return png(pixels: pixels, side: side) == bytes ? pixels : nil
  }

  private static func chunk(_ name: String, _ data: [UInt8]) -> [UInt8] {
    let body = Array(name.utf8) + data
    return bigEndian(UInt32(data.count)) + body + bigEndian(crc32(body))
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) }
  }

  private static func crc32(_ bytes: [UInt8]) -> UInt32 {
    var remainder: UInt32 = 0xffff_ffff
    for byte in bytes {
      remainder ^= UInt32(byte)
      for _ in 0..<8 { remainder = remainder & 1 == 1 ? remainder >> 1 ^ 0xedb8_8320 : remainder >> 1 }
    }
    return ~remainder
  }

  private static func adler32(_ bytes: [UInt8]) -> UInt32 {
    var low: UInt32 = 1
    var high: UInt32 = 0
    for byte in bytes {
      low = (low + UInt32(byte)) % 65521
      high = (high + low) % 65521
    }
    return high << 16 | low
  }
}

extension Picture {
  /// The answer's members that describe a picture, as the real image servers name them.
  static func answer(pixels: [UInt8]) -> JSON {
    let encoded = Data(png(pixels: pixels, side: ReferenceModel.imageSide)).base64EncodedString()
    let hashes = ["average_hash", "perceptual_hash", "difference_hash", "color_hash"].map { name in
      var random = SeededRandom(seed: 0, name, encoded)
      return (name, JSON.string(String(random.next(), radix: 16)))
    }
    return .object([
      "image_b64": .string(encoded), "is_nsfw": .bool(false),
      "clip_embeddings": .array(ReferenceModel.embedding(of: encoded).map(JSON.number)),
      "image_hashes": .object(Dictionary(uniqueKeysWithValues: hashes)),
    ])
  }
}
