/// How a proxy treats what passes through it.
struct ProxyRules {
  /// Each piece is held up by this long on average, evenly between nothing and twice as long, ms.
  var latencyMilliseconds = 0
  /// The share of pieces at which the connection is reset instead.
  var resetShare = 0.0
  /// Bytes a second in each direction of each connection; 0 for no limit.
  var bytesPerSecond = 0
  /// New connections are accepted and never answered.
  var swallowsNew = false
  /// Replicas and Sentinels get nothing through.
  var cutsPeers = false
}

/// What a proxy does at one command.
enum ProxyAction {
  /// Lets it through.
  case pass
  /// Redis never gets it, and the connection is reset.
  case strikeBefore
  /// Redis executes it; its reply is dropped, and the connection is reset.
  case strikeAfter
  /// Redis executes it; half of its reply arrives, then the connection is reset.
  case half
}

/// One command, as a proxy sees it.
struct ProxyCommand {
  /// The script's name for `EVALSHA` and `EVAL`, otherwise the command's name, in capitals.
  var kind: String
}
