"""Celery: the solo pool, which drains fastest; acknowledged when done, no results."""

from datetime import datetime, timezone

import celery

import common


class Peer(common.Peer):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.app = celery.Celery("bench", broker="redis+socket://" + self.socket)
        self.app.conf.update(
            task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4,
            broker_connection_retry_on_startup=True,
        )

        # A function: of a bound method Celery would ask for the object too.
        @self.app.task(name="job")
        def job(data):
            self.handle(data)

        self.task = job

    async def push(self, number):
        self.task.apply_async((common.job(number),))

    async def push_all(self, numbers):
        with self.app.producer_pool.acquire(block=True) as producer:
            for number in numbers:
                self.task.apply_async((common.job(number),), producer=producer)

    async def push_at(self, number, due):
        moment = datetime.fromtimestamp(due, timezone.utc)
        self.task.apply_async((common.job(number),), eta=moment)

    def work(self):
        self.app.worker_main(
            ["worker", "--pool=solo", "--without-gossip", "--without-mingle", "--loglevel=WARNING"]
        )
