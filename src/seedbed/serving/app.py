"""The HTTP face as an ASGI application (asgi.readthedocs.io, HTTP specification 2.3).

GET /health tells what is served; POST /predict takes texts, pairs or choices and gives an answer to each.
A client's mistake gets its 4xx and a JSON object with one key, `error`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from seedbed.serving.requests import MAX_BODY_BYTES, SHAPES, BadRequest, Kind, Query, check_type, parse

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Answers = Callable[[Query], Sequence[Mapping[str, Any]]]
"""Questions to what is told of each, in order."""

BODY_SECONDS = 10.0
"""A client that sends slower than this holds a connection for nothing."""
DRAINED_BYTES = 16 << 20
"""A longer body is answered before it has ended."""
ROUTES = {"/health": "GET", "/predict": "POST"}


@dataclass(frozen=True)
class Facts:
    """What is served: said by /health, and with every answer where it comes from."""

    model: str
    labels: tuple[str, ...]
    seeds: tuple[int, ...]
    """The trained models whose probabilities are averaged."""
    asks: Kind = "texts"
    """What it can be asked."""


class Application:
    """One model behind two routes. The model runs in a single thread beside the loop.

    Arithmetic threads are the machine file's, so two requests at once would only take them from each
    other; /health answers while the model works.
    """

    def __init__(self, answers: Answers, facts: Facts) -> None:
        self._answers, self._facts = answers, facts
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="model")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", scope["type"]
        try:
            status, value = 200, await self._route(scope, receive)
            extra: list[tuple[bytes, bytes]] = []
        except BadRequest as fault:
            status, value = fault.status, {"error": str(fault)}
            # what was not read of the body would be taken for the next request
            extra = [(b"connection", b"close")]
            if status == 405:
                extra.append((b"allow", ROUTES[scope["path"]].encode()))
        body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
        headers = [
            (b"content-type", b"application/json; charset=utf-8"),
            (b"content-length", str(len(body)).encode()),
            (b"x-content-type-options", b"nosniff"),
            *extra,
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _route(self, scope: Message, receive: Receive) -> dict[str, object]:
        path, method = scope["path"], scope["method"]
        if path not in ROUTES:
            raise BadRequest(404, f"no {path[:100]} here; there are {' and '.join(ROUTES)}")
        if method != ROUTES[path]:
            raise BadRequest(405, f"{path} takes {ROUTES[path]}, got {method[:20]}")
        facts = {"model": self._facts.model, "seeds": list(self._facts.seeds)}
        if path == "/health":
            return {"status": "ok", **facts, "labels": list(self._facts.labels), "asks": self._facts.asks}
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        check_type(headers.get(b"content-type", ""))
        query = parse(await _body(receive, headers.get(b"content-length")))
        if query.kind != self._facts.asks:
            raise BadRequest(400, f"got {query.kind}, this model answers {SHAPES[self._facts.asks]}")
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._worker, self._answers, query)
        return {**facts, "predictions": list(found)}

    def close(self) -> None:
        self._worker.shutdown()


async def _body(receive: Receive, announced: str | None) -> bytes:
    """The whole body, or the refusal of one that is too long.

    Most clients read no answer before they have sent all: a body of up to DRAINED_BYTES is received to
    its end and thrown away as it comes, so that they see the refusal and no broken connection.
    """
    too_long = BadRequest(
        413, f"the body is longer than {MAX_BODY_BYTES:,} bytes; send fewer or shorter texts"
    )
    if announced is not None and announced.isdecimal() and int(announced) > DRAINED_BYTES:
        raise too_long
    body, received = b"", 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise BadRequest(400, "the client went away")
                piece = message.get("body", b"")
                received += len(piece)
                body = body + piece if received <= MAX_BODY_BYTES else b""
                if received > DRAINED_BYTES:
                    raise too_long
                if not message.get("more_body", False):
                    break
    except TimeoutError:
        raise BadRequest(408, f"the body took longer than {BODY_SECONDS:.0f} s; send it faster") from None
    if received > MAX_BODY_BYTES:
        raise too_long
    return body
