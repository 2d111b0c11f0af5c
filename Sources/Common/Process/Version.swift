/// The release that these programs belong to.
public enum Version {
  /// As printed by `--version`, and as in CHANGELOG.md.
  public static let current = "0.1.0"
}
