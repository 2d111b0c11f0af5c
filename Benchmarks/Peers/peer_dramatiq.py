"""dramatiq: RedisBroker, one process, a thread for each job."""

import signal
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import common


class Peer(common.Peer):
    concurrency = 32

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        # By default a dead worker is one without a heartbeat for 60 s, and only every thousandth command looks
        # for any.
        recovery = {"heartbeat_timeout": 10_000, "maintenance_chance": 1_000_000}
        broker = RedisBroker(url=self.url, **(recovery if self.measurement == "crash" else {}))
        dramatiq.set_broker(broker)
        self.broker = broker
        self.actor = dramatiq.actor(self.handle, actor_name="job")

    async def push(self, number):
        self.actor.send(common.job(number))

    async def push_all(self, numbers):
        dramatiq.group([self.actor.message(common.job(number)) for number in numbers]).run()

    async def push_at(self, number, due):
        delay = max(0, round((due - time.time()) * 1000))
        self.actor.send_with_options(args=(common.job(number),), delay=delay)

    def work(self):
        dramatiq.Worker(self.broker, worker_threads=self.slots).start()
        signal.pause()
