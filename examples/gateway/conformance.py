"""Holds an installation to docs/GATEWAY.md, with a stock Redis client (redis-py 4.3 or newer).

    python3 conformance.py unix:///run/redis.sock vision chat

Needs a running worker, a task of the shape "chat" and at least one able miner for it. Prints "conforms" and ends
with 0, or says what does not hold and ends with 1.
"""

import json
import sys
import uuid

import redis

from vision_queue import credentials

PAYLOAD = {"messages": [{"role": "user", "content": "Tell me about lighthouses."}], "seed": 7}


def check(holds, what):
    if not holds:
        sys.exit(f"does not conform: {what}")


class Door:
    def __init__(self, url, namespace):
        self.redis = redis.Redis.from_url(url, decode_responses=True, **credentials())
        self.prefix = f"{namespace}:{{q}}:"

    def call(self, function, *words):
        return self.redis.execute_command("FCALL", f"vision_{function}_v1", 1, self.prefix + "organic", *words)

    def read(self, key, after="0", most=1000):
        """Entries after an id, up to the last one or until there are `most`."""
        entries = []
        while len(entries) < most:
            command = ("XRANGE", key, f"({after}", "+", "COUNT", 1)
            self.redis.xread({key: after}, count=1, block=10_000)
            batch = self.redis.execute_command(*command)
            check(batch, f"no entry of {key} within 10 s")
            entries += batch
            after = batch[-1][0]
            if "end" in entries[-1][1]:
                break
        return entries


def check_stream(door, task, account):
    job = uuid.uuid4().hex
    state, key = door.call("submit", job, task, json.dumps(PAYLOAD), "account", account)
    check(state == "created" and key == f"{door.prefix}reply:{job}", "created, with the reply's key")
    check(isinstance(door.redis.execute_command("WAIT", 0, 100), int), "WAIT follows a submit")
    first = door.read(key, most=1)
    entries = first + door.read(key, after=first[-1][0])
    check([e for e in entries] == door.read(key), "read in two parts or at once, a reply is the same")
    numbers = [int(fields["n"]) for _, fields in entries[:-1]]
    check(numbers == list(range(1, len(numbers) + 1)), f"entries are numbered from 1: {numbers}")
    text = ""
    for _, fields in entries[:-1]:
        check(fields["data"].endswith("\n\n"), "an entry holds whole events")
        for event in fields["data"].split("\n\n")[:-1]:
            check(event.startswith("data: "), f"an event is one data line: {event}")
            if event == "data: [DONE]":
                continue
            chunk = json.loads(event[6:])
            check(chunk["object"] == "chat.completion.chunk" and chunk["id"] == job, "OpenAI's shape")
            check("logprobs" not in chunk["choices"][0], "log probabilities were not asked for")
            text += chunk["choices"][0]["delta"].get("content") or ""
    last = entries[-1][1]
    check(last["end"] == "done" and last["status"] == "200", f"the last entry says how it ended: {last}")
    for name in ("uid", "prompt_tokens", "completion_tokens", "first_ms", "total_ms"):
        check(int(last[name]) >= 0, f"the last entry has {name}")
    check(0 < door.redis.ttl(key) <= 3600, "the reply is kept for an hour")
    answer = door.call("submit", job, task, "another payload")
    check(answer == ["duplicate", "done", key], f"a known id runs nothing: {answer}")
    status = door.call("status", job)
    fields = dict(zip(status[1::2], status[2::2]))
    check(status[0] == "done" and fields["completion_tokens"] == last["completion_tokens"], f"status: {status}")
    check(door.call("cancel", job) == ["done"], "what has ended cannot be cancelled")
    return text


def check_whole(door, task, account):
    job = uuid.uuid4().hex
    _, key = door.call("submit", job, task, json.dumps(PAYLOAD), "account", account, "stream", 0)
    entries = door.read(key)
    check(len(entries) == 2 and entries[-1][1]["end"] == "done", f"one answer and its end: {entries}")
    answer = json.loads(entries[0][1]["data"])
    check(answer["object"] == "chat.completion" and answer["id"] == job, "OpenAI's shape")
    usage = answer["usage"]
    check(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"], "usage adds up")
    return answer["choices"][0]["message"]["content"]


def check_cancel(door, task):
    job = uuid.uuid4().hex
    _, key = door.call("submit", job, task, json.dumps(PAYLOAD))
    check(door.call("cancel", job) == ["cancelled"], "a request can be cancelled")
    check(door.read(key)[-1][1]["end"] == "cancelled", "its reply ends at once")
    check(door.call("cancel", job) == ["cancelled"], "a second cancel tells the same")
    check(door.call("cancel", "nobody") == ["unknown"], "nobody's request cannot be cancelled")


def check_refusals(door, task):
    good = json.dumps(PAYLOAD)
    cases = [
        (("a b", task, good), "bad_id", ""),
        (("a", "no-such-task", good), "unknown_task", ""),
        (("a", task, good, "account", "a|b"), "bad_account", ""),
        (("a", task, good, "colour", "red"), "bad_argument", "colour"),
        (("a", task, "no json"), "bad_payload", "payload"),
        (("a", task, '{"messages":[]}'), "bad_payload", "messages"),
        (("a", task, json.dumps(PAYLOAD | {"temperature": 9})), "bad_payload", "temperature"),
    ]
    for words, reason, field in cases:
        answer = door.call("submit", *words)
        check(answer[:3] == ["refused", reason, field] and len(answer) == 4, f"{words}: {answer}")


def main():
    url, namespace, task = sys.argv[1:4]
    door = Door(url, namespace)
    about = json.loads(door.redis.hget(door.prefix + "tasks", task) or "null")
    check(about and about.get("shape") == "chat", f"{task} is a chat in the key tasks")
    account = uuid.uuid4().hex
    check(len(check_stream(door, task, account)) > 0, "a stream has text")
    check(len(check_whole(door, task, account)) > 0, "a whole answer has text")
    check(door.redis.hget(door.prefix + "usage", f"{account}|{task}|requests") == "2", "usage counts requests")
    check_cancel(door, task)
    check_refusals(door, task)
    print("conforms")


main()
