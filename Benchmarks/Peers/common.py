"""What all peers have in common: a job, the note that it began, and what a peer has to know."""

import asyncio
import os
import struct
import time

import uvloop

# As long as a user's request in our measurements: 300 bytes as JSON.
TEXT = ("word " * 60)[:271]

# Job, process, and when it began: monotonic clock, wall clock, processor time of the process; all in ns.
_NOTE = struct.Struct("<5q")


def job(number):
    """The one argument of every job."""
    return {"number": number, "text": TEXT}


class Notes:
    """A file that each job adds a record to when it begins: it outlives a worker that is killed."""

    def __init__(self, path):
        self.path = path
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def add(self, number):
        clocks = (time.monotonic_ns(), time.time_ns(), time.process_time_ns())
        os.write(self.file, _NOTE.pack(number, os.getpid(), *clocks))

    def count(self):
        return os.stat(self.path).st_size // _NOTE.size

    def read(self):
        with open(self.path, "rb") as file:
            return list(_NOTE.iter_unpack(file.read()))


class Peer:
    """A job queue: how its documentation says to push jobs and to run one worker process.

    `measurement` is what is being measured, for settings that only one of them needs. A worker with `hold`
    keeps each job that long, in seconds.
    """

    # Jobs at once where jobs end at once: what drained fastest. A hundred of them are held in `crash`.
    concurrency = 100

    def __init__(self, socket, notes, measurement, hold=0):
        self.socket, self.notes, self.measurement, self.hold = socket, notes, measurement, hold
        self.url = "unix://" + socket
        self.slots = 100 if measurement == "crash" else self.concurrency

    async def open(self):
        """Prepares for pushing."""

    async def push(self, number):
        """Pushes one job in one call."""
        raise NotImplementedError

    async def push_all(self, numbers):
        """Pushes many jobs in the fastest documented way."""
        raise NotImplementedError

    async def push_at(self, number, due):
        """Pushes a job that is due at a time, in seconds since 1970."""
        raise NotImplementedError

    def work(self):
        """Works until the process is killed."""
        uvloop.run(self.serve())

    async def serve(self):
        raise NotImplementedError

    def handle(self, data):
        """A job, where jobs are functions that run in threads."""
        self.notes.add(data["number"])
        if self.hold:
            time.sleep(self.hold)

    async def handle_async(self, data):
        """A job, where jobs are coroutines."""
        self.notes.add(data["number"])
        if self.hold:
            await asyncio.sleep(self.hold)


async def at_once(width, numbers, push):
    """Keeps `width` calls of `push` under way."""
    rest = iter(numbers)

    async def loop():
        for number in rest:
            await push(number)

    await asyncio.gather(*(loop() for _ in range(width)))
