/// Why a case could not be carried to its end.
struct ChaosFailure: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}
