"""bullmq, the Python package: one Queue, one Worker, finished jobs removed."""

import asyncio
import time

from bullmq import Queue, Worker

import common


class Peer(common.Peer):
    concurrency = 50
    bulk = 1_000

    async def open(self):
        self.queue = Queue("bench", {"connection": self.url})

    async def push(self, number):
        await self.queue.add("job", common.job(number), {"removeOnComplete": True})

    async def push_all(self, numbers):
        jobs = [
            {"name": "job", "data": common.job(number), "opts": {"removeOnComplete": True}}
            for number in numbers
        ]
        for first in range(0, len(jobs), self.bulk):
            await self.queue.addBulk(jobs[first : first + self.bulk])

    async def push_at(self, number, due):
        delay = max(0, round((due - time.time()) * 1000))
        await self.queue.add("job", common.job(number), {"removeOnComplete": True, "delay": delay})

    async def serve(self):
        # 30 s each by default.
        recovery = {"lockDuration": 10_000, "stalledInterval": 10_000}
        options = {"connection": self.url, "concurrency": self.slots}
        Worker("bench", self.process, options | (recovery if self.measurement == "crash" else {}))
        await asyncio.Event().wait()

    async def process(self, job, token):
        await self.handle_async(job.data)
