/// Files that record behaviour which this program replaces on purpose, and why.
enum GoldenReplaced {
  static let reasons = [
    "v4_synthetic_schedule": "one query in each of n equal slices of the period, at a random point of it",
    "v4_store_sampling": "which answers are checked follows task weight and fewest verdicts, not a draw",
    "v4_uid_queue": "organic jobs go by measured speed and load, not round the miners",
    "v4_sse_parse": "one streaming parser that survives any split and loses no event",
    "v4_stream": "a stream that breaks off is no success; outcomes come from one table",
    "v6_schedule_simulation": "one query in each of n equal slices of the period, at a random point of it",
    "v6_store_sampling": "which answers are checked follows task weight and fewest verdicts",
    "v6_organic_choice": "organic jobs go by measured speed and load; the original chose by name order",
    "v6_contender_choice_sql": "each synthetic query has its miner from the plan on",
    "v6_sse_parse": "one streaming parser that survives any split and loses no event",
    "v6_stream": "a stream that breaks off is no success; outcomes come from one table",
    "v6_wire": "jobs and answers are Redis hashes and streams with their own layout",
    "v6_process_task": "every attempt has an outcome; none counts as good by default",
    "v6_checker_protocol": "a check is kept until its verdict is stored",
    "v6_ltrim_bug": "a full queue refuses a job instead of dropping another",
    "v6_voted_weights": "task weights stand in the operator's file and must sum to 1",
  ]
}
