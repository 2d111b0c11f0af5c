"""arq: one worker process on its pool of connections."""

from datetime import datetime, timezone

from arq import create_pool, func
from arq.connections import RedisSettings
from arq.worker import Worker

import common


class Peer(common.Peer):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.settings = RedisSettings(unix_socket_path=self.socket)

    async def open(self):
        self.pool = await create_pool(self.settings)

    async def push(self, number):
        await self.pool.enqueue_job("job", common.job(number))

    async def push_all(self, numbers):
        await common.at_once(50, numbers, self.push)

    async def push_at(self, number, due):
        moment = datetime.fromtimestamp(due, timezone.utc)
        await self.pool.enqueue_job("job", common.job(number), _defer_until=moment)

    async def serve(self):
        # A dead worker's jobs are free again ten seconds after the longest time that they may take, 300 s by
        # default.
        recovery = {"job_timeout": 10} if self.measurement == "crash" else {}
        worker = Worker(
            functions=[func(self.run, name="job")], redis_settings=self.settings, max_jobs=self.slots,
            keep_result=0, **recovery,
        )
        await worker.async_run()

    async def run(self, context, data):
        await self.handle_async(data)
