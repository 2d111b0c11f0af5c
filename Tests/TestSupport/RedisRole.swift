/// The users of users.acl.
public enum RedisRole: String, CaseIterable, Sendable {
  case gateway = "vision-gateway"
  case worker = "vision-worker"
  case producer = "vision-producer"
  case aggregator = "vision-aggregator"
  case `operator` = "vision-operator"
  case metrics = "vision-metrics"
  case admin = "vision-admin"
}
