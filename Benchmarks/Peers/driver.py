#!/usr/bin/env python3
"""Measures another job queue beside ours; `scripts/bench --peers` starts it.

    driver.py PEER drain|enqueue|latency|delayed|crash --socket PATH --redis-pid PID --notes FILE --jobs N
    driver.py PEER work ...        the worker, which the driver starts for itself

Pushes jobs, runs one worker process, and prints one line of JSON with the figures. Each job notes when it
began; a measurement fails unless each of its jobs did, and but for `crash` no more than once.
docs/BENCHMARKS.md says what the figures mean.
"""

import argparse
import asyncio
import contextlib
import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import time

import uvloop

import common

WAIT_SECONDS = 60
# From the push to the first due time of `delayed`; all must be pushed by then.
LEAD_SECONDS = 3
DISTANCE_SECONDS = 0.005


class Failure(Exception):
    """A measurement that says nothing."""


def quantile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def processor_seconds(pid):
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Run:
    """One measurement of one peer."""

    def __init__(self, options):
        self.options = options
        self.notes = common.Notes(options.notes)
        module = importlib.import_module("peer_" + options.peer)
        self.peer = module.Peer(options.socket, self.notes, options.measurement, options.hold)

    @contextlib.contextmanager
    def worker(self, hold=0):
        """A worker process in our own process group: whoever ends that ends it too. Its log is beside the notes."""
        command = [sys.executable, __file__, self.options.peer, "work", *sys.argv[3:]]
        own = ["--of", self.options.measurement, "--hold", str(hold)]
        with open(self.options.notes + "-log", "ab") as log:
            process = subprocess.Popen(command + own, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    async def began(self, count, process):
        """Waits until this many jobs began, and gives their notes."""
        limit = time.monotonic() + WAIT_SECONDS
        while self.notes.count() < count:
            if process.poll() is not None:
                raise Failure(f"the worker ended with {process.returncode}")
            if time.monotonic() > limit:
                raise Failure(f"{self.notes.count()} of {count} jobs began within {WAIT_SECONDS} s")
            await asyncio.sleep(0.02)
        notes = self.notes.read()
        if len(notes) != count:
            raise Failure(f"{count} jobs began {len(notes)} times")
        return notes

    async def ready(self, process):
        """Waits until the worker serves: it does job 0."""
        await self.peer.push(0)
        await self.began(1, process)

    def check(self, notes, numbers):
        if sorted(note[0] for note in notes) != list(numbers):
            raise Failure("jobs are missing, or began twice")

    async def drain(self):
        """A full queue, and then a worker: between the first job and the last."""
        numbers = range(self.options.jobs)
        await self.peer.push_all(numbers)
        redis = processor_seconds(self.options.redis_pid)
        with self.worker() as process:
            notes = await self.began(len(numbers), process)
            redis = processor_seconds(self.options.redis_pid) - redis
        self.check(notes, numbers)
        first, last = min(notes, key=lambda note: note[2]), max(notes, key=lambda note: note[2])
        jobs = len(numbers) - 1
        return {
            "jobs_per_second": jobs * 1e9 / (last[2] - first[2]),
            "worker_cpu": (last[4] - first[4]) / 1e3 / jobs,
            "redis_cpu": redis * 1e6 / len(numbers),
        }

    async def enqueue(self):
        """Jobs one at a time, then twice as many as fast as the peer can; a worker then does all of them."""
        single, numbers = range(self.options.jobs), range(3 * self.options.jobs)
        times = []
        for number in single:
            start = time.perf_counter()
            await self.peer.push(number)
            times.append(time.perf_counter() - start)
        start = time.perf_counter()
        await self.peer.push_all(numbers[len(single):])
        seconds = time.perf_counter() - start
        with self.worker() as process:
            self.check(await self.began(len(numbers), process), numbers)
        return {
            "single_p50": quantile(times, 0.5) * 1e6,
            "bulk_jobs_per_second": (len(numbers) - len(single)) / seconds,
        }

    async def latency(self):
        """From the push of a job to its beginning, one every five milliseconds."""
        pushed = {}
        with self.worker() as process:
            await self.ready(process)
            for number in range(1, self.options.jobs + 1):
                pushed[number] = time.monotonic_ns()
                await self.peer.push(number)
                await asyncio.sleep(DISTANCE_SECONDS)
            notes = await self.began(self.options.jobs + 1, process)
        self.check(notes, range(self.options.jobs + 1))
        late = [(note[2] - pushed[note[0]]) / 1e6 for note in notes if note[0] > 0]
        return {"p50": quantile(late, 0.5), "p99": quantile(late, 0.99)}

    async def delayed(self):
        """How late jobs begin that are due one after the other."""
        with self.worker() as process:
            await self.ready(process)
            first = time.time() + LEAD_SECONDS
            due = {number: first + number * DISTANCE_SECONDS for number in range(1, self.options.jobs + 1)}
            for number, moment in due.items():
                await self.peer.push_at(number, moment)
            if time.time() > first:
                raise Failure(f"pushing took longer than {LEAD_SECONDS} s")
            notes = await self.began(self.options.jobs + 1, process)
        self.check(notes, range(self.options.jobs + 1))
        late = [note[3] / 1e6 - due[note[0]] * 1e3 for note in notes if note[0] > 0]
        return {"late_p50": quantile(late, 0.5), "late_p99": quantile(late, 0.99)}

    async def crash(self):
        """A worker that holds all jobs is killed and another started: until the last job began again."""
        numbers = range(self.options.jobs)
        await self.peer.push_all(numbers)
        with self.worker(hold=2 * WAIT_SECONDS) as process:
            self.check(await self.began(len(numbers), process), numbers)
            killed = time.monotonic_ns()
        with self.worker() as process:
            notes = await self.began(2 * len(numbers), process)
        again = [note for note in notes if note[1] == process.pid]
        self.check(again, numbers)
        return {"last_rerun": (max(note[2] for note in again) - killed) / 1e9}


async def measure(run, name):
    await run.peer.open()
    print(json.dumps(await getattr(run, name)()), flush=True)


def main():
    parser = argparse.ArgumentParser(description="Measures another job queue beside ours.")
    parser.add_argument("peer", choices=["arq", "bullmq", "celery", "dramatiq", "taskiq"])
    parser.add_argument("verb", choices=["drain", "enqueue", "latency", "delayed", "crash", "work"])
    parser.add_argument("--of", dest="measurement", help="what the worker is measured for")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--redis-pid", type=int, required=True)
    parser.add_argument("--notes", required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--hold", type=float, default=0)
    options = parser.parse_args()
    options.measurement = options.measurement or options.verb
    run = Run(options)
    if options.verb == "work":
        # Should the driver be killed alone, its worker goes too (`prctl(2)`, PR_SET_PDEATHSIG).
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        run.peer.work()
        return
    try:
        uvloop.run(measure(run, options.verb))
    except Failure as failure:
        sys.exit(f"{options.peer}, {options.verb}: {failure}")


main()
