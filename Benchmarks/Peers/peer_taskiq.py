"""taskiq with taskiq-redis: RedisStreamBroker, which acknowledges; its scheduler for jobs that are due later."""

import asyncio
from datetime import datetime, timedelta, timezone

from taskiq import TaskiqScheduler
from taskiq.api import run_receiver_task, run_scheduler_task
from taskiq_redis import ListRedisScheduleSource, RedisStreamBroker

import common


class Peer(common.Peer):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.broker = RedisStreamBroker(url=self.url)
        self.later = ListRedisScheduleSource(self.url)

        # A function, since it gives what it gets another name.
        async def run(data):
            await self.handle_async(data)

        self.task = self.broker.register_task(run, task_name="job")

    async def open(self):
        await self.broker.startup()

    async def push(self, number):
        await self.task.kiq(common.job(number))

    async def push_all(self, numbers):
        await common.at_once(50, numbers, self.push)

    async def push_at(self, number, due):
        moment = datetime.fromtimestamp(due, timezone.utc)
        await self.task.schedule_by_time(self.later, moment, common.job(number))

    async def serve(self):
        await self.broker.startup()
        work = [run_receiver_task(self.broker, max_async_tasks=self.slots)]
        if self.measurement == "delayed":
            # Once a second is the most often that it can look.
            scheduler = TaskiqScheduler(self.broker, [self.later])
            work.append(run_scheduler_task(scheduler, interval=timedelta(seconds=1)))
        await asyncio.gather(*work)
