import Common
import Foundation

/// A small drawn picture, as input for image tasks.
struct Picture {
  /// Pixels in a row and in a column.
  static let side = 64

  /// Red, green and blue of each pixel, by row.
  private var pixels: [UInt8]

  /// Soft blobs of colour on a gradient.
  static func draw(_ random: inout SeededRandom) -> Picture {
    let base = (0..<6).map { _ in Double(random.below(256)) }
    let blobs = (0..<4).map { _ in (0..<6).map { _ in random.uniform() } }
    var pixels: [UInt8] = []
    pixels.reserveCapacity(side * side * 3)
    for row in 0..<side {
      for column in 0..<side {
        let x = Double(column) / Double(side)
        let y = Double(row) / Double(side)
        for channel in 0..<3 {
          var value = base[channel] * (1 - y) + base[channel + 3] * y
          for blob in blobs {
            let distance = (x - blob[0]) * (x - blob[0]) + (y - blob[1]) * (y - blob[1])
            value += (blob[3 + channel] * 256 - value) * exp(-distance / (0.005 + 0.05 * blob[2]))
          }
          pixels.append(UInt8(min(255, max(0, value))))
        }
      }
    }
    return Picture(pixels: pixels)
  }

  /// A white rectangle on black: what an inpainting model may change.
  static func mask(_ random: inout SeededRandom) -> Picture {
    let left = random.below(side / 2)
    let top = random.below(side / 2)
    let right = left + side / 4 + random.below(side / 4)
    let bottom = top + side / 4 + random.below(side / 4)
    var pixels = [UInt8](repeating: 0, count: side * side * 3)
    for row in top..<bottom {
      for index in (row * side + left) * 3..<(row * side + right) * 3 { pixels[index] = 255 }
    }
    return Picture(pixels: pixels)
  }

  /// The picture as a PNG file (W3C PNG specification; pixel data in stored deflate blocks) in base64.
  func base64PNG() -> String { Data(png()).base64EncodedString() }

  func png() -> [UInt8] {
    var file: [UInt8] = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
    let side = UInt32(Picture.side)
    let header = Picture.bigEndian(side) + Picture.bigEndian(side) + [8, 2, 0, 0, 0]
    Picture.appendChunk("IHDR", header, to: &file)
    var rows: [UInt8] = []
    for row in 0..<Picture.side {
      rows.append(0)
      rows.append(contentsOf: pixels[row * Picture.side * 3..<(row + 1) * Picture.side * 3])
    }
    Picture.appendChunk("IDAT", Picture.stored(rows), to: &file)
    Picture.appendChunk("IEND", [], to: &file)
    return file
  }

  /// A zlib stream of one stored block; `bytes` must be shorter than 65,536.
  private static func stored(_ bytes: [UInt8]) -> [UInt8] {
    let length = UInt16(bytes.count)
    var first: UInt32 = 1
    var second: UInt32 = 0
    for byte in bytes {
      first = (first + UInt32(byte)) % 65_521
      second = (second + first) % 65_521
    }
    let header: [UInt8] = [
      0x78, 0x01, 0x01, UInt8(length & 255), UInt8(length >> 8), UInt8(~length & 255), UInt8(~length >> 8),
    ]
    return header + bytes + bigEndian(second << 16 | first)
  }

  private static func appendChunk(_ type: String, _ body: [UInt8], to file: inout [UInt8]) {
    let content = Array(type.utf8) + body
    file += bigEndian(UInt32(body.count)) + content + bigEndian(crc(content))
  }

  private static func crc(_ bytes: [UInt8]) -> UInt32 {
    var value: UInt32 = 0xffff_ffff
    for byte in bytes {
      value ^= UInt32(byte)
      for _ in 0..<8 { value = value & 1 == 1 ? 0xedb8_8320 ^ (value >> 1) : value >> 1 }
    }
    return ~value
  }

  private static func bigEndian(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
  }
}
