"""A small gateway: OpenAI's /v1/chat/completions on top of the pipeline.

    pip install fastapi uvicorn redis
    VISION_REDIS_URL=redis://127.0.0.1:6379 uvicorn gateway:app --port 8080

It keeps no state: any gateway can go on with a stream that another one began.
"""

import asyncio
import hashlib
import json
import os
import uuid
from contextlib import asynccontextmanager

from fastapi import FastAPI, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from vision_queue import Refused, VisionQueue

queue = VisionQueue(
    os.environ.get("VISION_REDIS_URL", "redis://127.0.0.1:6379"), os.environ.get("VISION_NAMESPACE", "vision")
)
# A user who lost the connection may come back for the rest within this time; then the request is cancelled.
CANCEL_AFTER = float(os.environ.get("GATEWAY_CANCEL_AFTER", "2"))
STATUS = {"unknown_task": 404, "too_large": 413, "full": 429, "paused": 503}

readers = {}
cancels = set()
closing = False


@asynccontextmanager
async def lifespan(_):
    yield
    global closing
    closing = True
    for task in list(cancels):
        task.cancel()
    await queue.close()


app = FastAPI(lifespan=lifespan)


def error(status, message, code=None, param=None):
    kind = "invalid_request_error" if status < 500 else "server_error"
    headers = {"Retry-After": "1"} if status in (429, 503) else {}
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    return JSONResponse(body, status, headers)


def account(authorization):
    """Whom the usage is counted for: never the key itself."""
    return hashlib.sha256(authorization.encode()).hexdigest()[:16] if authorization else ""


@app.post("/v1/chat/completions")
async def chat(
    request: Request,
    authorization: str = Header(""),
    idempotency_key: str = Header(""),
    last_event_id: str = Header(""),
):
    if last_event_id:
        return await resume(last_event_id)
    raw = await request.body()
    try:
        body = json.loads(raw)
        task, streams = body["model"], bool(body.get("stream"))
    except (ValueError, KeyError, TypeError):
        return error(400, "the body must be a JSON object with a model", "bad_payload")
    job = idempotency_key or uuid.uuid4().hex
    try:
        await queue.submit(job, task, raw, account(authorization), stream=streams)
    except Refused as refusal:
        status = STATUS.get(refusal.reason, 400)
        return error(status, str(refusal), refusal.reason, refusal.field or None)
    return await (stream(job) if streams else whole(request, job))


@app.get("/v1/replies/{job}")
async def reply(job: str, last_event_id: str = Header("")):
    """The stream of a request that is known, from its beginning or after the last event that was seen."""
    return await (resume(last_event_id) if last_event_id else stream(job))


async def resume(event_id):
    job, entry_id, count = (event_id.split("/") + ["", ""])[:3]
    if not count.isdigit() or await queue.state(job) == "unknown":
        return error(404, "there is no such stream", "unknown_event")
    return await stream(job, entry_id, int(count))


async def stream(job, seen="0", count=0):
    entries = queue.entries(job, seen)
    # Until something is there the status is still ours to choose.
    first = None
    if seen == "0":
        first = await anext(entries)
        if "end" in first[1] and first[1]["end"] != "done":
            return failure(first[1])
    return StreamingResponse(
        events(job, entries, first, seen, count),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Request-Id": job},
    )


def failure(fields):
    status = {"cancelled": 499, "expired": 504}.get(fields["end"], int(fields.get("status") or 502))
    return error(status, fields.get("error") or fields["end"], fields["end"])


async def events(job, entries, first, seen, count):
    """Every event with an id that says where it stands: request, entry, number within the entry."""
    readers[job] = readers.get(job, 0) + 1
    ended = False
    try:
        if seen != "0" and (fields := await queue.entry(job, seen)):
            for event in numbered(job, seen, fields, count):
                yield event
        if first:
            ended = "end" in first[1]
            for event in numbered(job, *first):
                yield event
        if not ended:
            async for entry_id, fields in entries:
                ended = "end" in fields
                for event in numbered(job, entry_id, fields):
                    yield event
    finally:
        readers[job] -= 1
        if not readers[job]:
            del readers[job]
            if not ended and not closing:
                later = asyncio.ensure_future(cancel_later(job))
                cancels.add(later)
                later.add_done_callback(cancels.discard)


def numbered(job, entry_id, fields, count=0):
    parts = fields.get("data", "").split("\n\n")[:-1]
    for index, part in enumerate(parts[count:], start=count + 1):
        yield f"id: {job}/{entry_id}/{index}\n{part}\n\n"


async def cancel_later(job):
    """The user left: unless somebody reads on, nobody wants the rest."""
    await asyncio.sleep(CANCEL_AFTER)
    if job not in readers:
        await queue.cancel(job)


async def whole(request, job):
    async def answer():
        data = ""
        async for _, fields in queue.entries(job):
            data += fields.get("data", "")
            if "end" in fields:
                return data, fields

    waiting = asyncio.ensure_future(answer())
    while not waiting.done():
        await asyncio.wait([waiting], timeout=0.2)
        if not waiting.done() and await request.is_disconnected():
            waiting.cancel()
            await queue.cancel(job)
            return Response(status_code=499)
    data, fields = waiting.result()
    if fields["end"] != "done":
        return failure(fields)
    return Response(data, media_type="application/json", headers={"X-Request-Id": job})
