"""The gateway with OpenAI's own client, and with a gateway process that is killed in mid-answer.

    python3 test_openai.py unix:///run/redis.sock vision chat

Needs fastapi, uvicorn, redis, openai and httpx, a running worker and a miner that streams for about a second.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import openai
import redis

from vision_queue import credentials

url, namespace, task = sys.argv[1:4]
here = os.path.dirname(os.path.abspath(__file__))
store = redis.Redis.from_url(url, decode_responses=True, **credentials())
prefix = f"{namespace}:{{q}}:"
messages = [{"role": "user", "content": "Tell me about lighthouses."}]


def check(holds, what):
    if not holds:
        raise SystemExit(f"gateway: {what}")


class Gateway:
    def __init__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", "gateway:app", "--port", str(self.port), "--log-level", "warning"],
            cwd=here,
            env=os.environ | {"VISION_REDIS_URL": url, "VISION_NAMESPACE": namespace, "GATEWAY_CANCEL_AFTER": "0.2"},
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("gateway: does not start")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(10)


def state(job):
    return store.execute_command("FCALL_RO", "vision_status_v1", 1, f"{prefix}organic", job)[0]


def wait_for(job, wanted):
    for _ in range(100):
        if state(job) == wanted:
            return
        time.sleep(0.05)
    raise SystemExit(f"gateway: {job} is {state(job)}, not {wanted}")


def official_client(gateway):
    client = openai.OpenAI(base_url=gateway.base + "/v1", api_key="secret", max_retries=0)
    whole = client.chat.completions.create(model=task, messages=messages)
    check(whole.object == "chat.completion" and whole.choices[0].message.role == "assistant", "a whole answer")
    check(whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens, "its usage")
    chunks = list(
        client.chat.completions.create(
            model=task, messages=messages, stream=True, logprobs=True, stream_options={"include_usage": True}
        )
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    check(len(text.split()) == len(whole.choices[0].message.content.split()), f"a stream: {text}")
    check(chunks[0].choices[0].logprobs.content[0].logprob < 0, "log probabilities for whoever asks")
    check(chunks[-1].usage.completion_tokens == whole.usage.completion_tokens, "usage at the end")
    check(any(c.choices and c.choices[0].finish_reason for c in chunks), "a finish reason")
    try:
        client.chat.completions.create(model="nobody", messages=messages)
        check(False, "an unknown model is refused")
    except openai.NotFoundError as refusal:
        check(refusal.code == "unknown_task", f"the reason: {refusal}")
    try:
        client.chat.completions.create(model=task, messages=messages, temperature=5)
        check(False, "a bad payload is refused")
    except openai.BadRequestError as refusal:
        check(refusal.param == "temperature", f"the field: {refusal}")


def disconnect(gateway):
    client = openai.OpenAI(base_url=gateway.base + "/v1", api_key="secret", max_retries=0)
    with client.chat.completions.create(model=task, messages=messages, stream=True) as stream:
        job = next(iter(stream)).id
    wait_for(job, "cancelled")


def read_events(response, most=None):
    """(id, data) of the events that come, up to `most`."""
    found, event_id = [], None
    for line in response.iter_lines():
        if line.startswith("id: "):
            event_id = line[4:]
        elif line.startswith("data: "):
            found.append((event_id, line[6:]))
            if most and len(found) == most:
                break
    return found


def killed_in_the_middle(gateway):
    body = {"model": task, "messages": messages, "stream": True}
    with httpx.stream("POST", gateway.base + "/v1/chat/completions", json=body, timeout=30) as response:
        begun = read_events(response, most=4)
        gateway.stop(signal.SIGKILL)
    job = json.loads(begun[0][1])["id"]
    check(state(job) == "running", "the answer goes on without the gateway")
    gateway.start()
    headers = {"Last-Event-ID": begun[-1][0]}
    with httpx.stream(
        "POST", gateway.base + "/v1/chat/completions", headers=headers, timeout=30
    ) as response:
        rest = read_events(response)
    with httpx.stream("GET", f"{gateway.base}/v1/replies/{job}", timeout=30) as response:
        complete = read_events(response)
    check(begun + rest == complete, f"nothing is lost or repeated: {len(begun)} + {len(rest)} != {len(complete)}")
    check(complete[-1][1] == "[DONE]" and state(job) == "done", "and it ends well")


gateway = Gateway()
try:
    official_client(gateway)
    disconnect(gateway)
    killed_in_the_middle(gateway)
    print("gateway works with openai", openai.__version__)
finally:
    gateway.stop()
