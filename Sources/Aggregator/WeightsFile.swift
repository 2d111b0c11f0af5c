/// Replaces a file as a whole.
enum WeightsFile {
  /// Writes `bytes` beside the file and puts them in its place. Off the loop: a disk may be slow.
  static func replace(_ path: String, with bytes: [UInt8]) async throws(AtomicFile.Failure) {
    try await OffLoop.run { () throws(AtomicFile.Failure) in
      let file = try AtomicFile(replacing: path)
      do throws(AtomicFile.Failure) { try file.write(bytes) } catch {
        file.discard()
        throw error
      }
      try file.commit()
    }
  }
}
