/// The scoring profiles, by name. `ScoringProfile` holds what each does.
public enum ProfileName: String, Sendable, Codable, CaseIterable {
  /// The rules of `namoray/vision` (version 4 of the subnet).
  case vision
  /// The rules of `rayonlabs/nineteen` (version 6 of the subnet).
  case nineteen

  /// The period that claims are volumes of, and the usual length of a period, in seconds.
  public var periodSeconds: Int {
    switch self {
    case .vision: return 3600
    case .nineteen: return 1800
    }
  }

  /// Whether every task needs the speed factor's parameters.
  public var needsSpeedModel: Bool { self == .vision }
}
