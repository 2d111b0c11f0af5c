"""The pipeline as a gateway sees it: three functions and one stream for each reply. docs/GATEWAY.md has the rest."""

import os

import redis.asyncio as redis


def credentials():
    """As whom to log in, from VISION_REDIS_USER and VISION_REDIS_PASSWORD or VISION_REDIS_PASSWORD_FILE."""
    password, path = os.environ.get("VISION_REDIS_PASSWORD"), os.environ.get("VISION_REDIS_PASSWORD_FILE")
    if not password and path:
        with open(path) as file:
            password = file.readline().strip()
    return {"username": os.environ.get("VISION_REDIS_USER") or None, "password": password or None}


class Refused(Exception):
    def __init__(self, reason, field="", problem=""):
        super().__init__(": ".join(part for part in (reason, f"{field} {problem}".strip()) if part))
        self.reason, self.field = reason, field


class VisionQueue:
    def __init__(self, url, namespace="vision"):
        self.redis = redis.Redis.from_url(url, decode_responses=True, **credentials())
        self.prefix = f"{namespace}:{{q}}:"

    async def _call(self, function, *words):
        return await self.redis.execute_command(
            "FCALL", f"vision_{function}_v1", 1, self.prefix + "organic", *words
        )

    async def submit(self, job, task, payload, account="", deadline_ms=0, stream=True):
        """Pushes a request. A known id changes nothing, so it can be repeated when its answer was lost."""
        answer = await self._call(
            "submit", job, task, payload, "account", account, "deadline_ms", deadline_ms, "stream", int(stream)
        )
        if answer[0] == "refused":
            raise Refused(*answer[1:])

    async def cancel(self, job):
        return (await self._call("cancel", job))[0]

    async def state(self, job):
        return (await self._call("status", job))[0]

    async def entries(self, job, start="0"):
        """Entries of a reply after the id `start`, as they come, up to the last one."""
        key, after = f"{self.prefix}reply:{job}", start
        while True:
            batches = await self.redis.xread({key: after}, count=100, block=5_000)
            if isinstance(batches, dict):  # the shape of newer clients
                batches = [(name, lists[0]) for name, lists in batches.items()]
            for _, batch in batches or []:
                for after, fields in batch:
                    yield after, fields
                    if "end" in fields:
                        return

    async def entry(self, job, entry_id):
        """One entry of a reply; None when it is not there."""
        found = await self.redis.xrange(f"{self.prefix}reply:{job}", entry_id, entry_id)
        return found[0][1] if found else None

    async def close(self):
        await self.redis.close()
