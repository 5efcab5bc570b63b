"""serve: seedbed serve RUN [key=value ...], a fine-tuned run behind HTTP until SIGTERM or Ctrl-C."""

import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from seedbed.config import Machine, Strict, UserError
from seedbed.stages.predict import calibration, open_answers

if TYPE_CHECKING:
    from seedbed.serving import Query

GRACE_SECONDS = 10
"""Requests that are being answered when the signal comes may finish within this."""
MOST_CONNECTIONS = 128
"""More at once get 503."""


class ServeOptions(Strict):
    """Where it listens. The default is reached from this machine alone: there is no authentication."""

    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535, description="0 takes a free one, which is printed")
    seeds: tuple[int, ...] = Field((), description="the seeds that are averaged; all where none is named")
    raw: bool = Field(False, description="probabilities as trained, without the temperatures fitted on valid")


def run(root: Path, machine: Machine, arguments: list[str]) -> None:
    """Load the models, listen, answer; ends by itself with exit code 0 after SIGTERM or SIGINT."""
    if not arguments or "=" in arguments[0]:
        raise UserError("serve: which run? seedbed serve RUN [key=value ...]")
    name, *words = arguments
    options = ServeOptions.parse_words(words, f"serve {name}")
    answers = open_answers(root, machine, name, options.seeds, raw=options.raw)
    import uvicorn

    from seedbed.serving import Application, Facts

    def found(query: "Query") -> list[dict[str, Any]]:
        return answers(query.rows)

    application = Application(found, Facts(name, answers.labels, answers.seeds, answers.asks))
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        listening = socket.create_server(
            (options.host, options.port), family=family, backlog=MOST_CONNECTIONS
        )
    except OSError as error:
        raise UserError(
            f"serve {name}: cannot listen on {options.host}:{options.port} ({error.strerror}); "
            "choose another host= or port=, or port=0"
        ) from None
    config = uvicorn.Config(
        application,
        lifespan="off",
        ws="none",
        log_level="warning",
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=GRACE_SECONDS,
        server_header=False,
    )
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        """Before the server's own handler stands, and when it raises its signal again after ending well."""
        server.should_exit = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    host, port = listening.getsockname()[:2]
    host = f"[{host}]" if family == socket.AF_INET6 else host
    print(f"serve {name}: http://{host}:{port}/predict, {len(answers.labels)} labels, "
          f"{len(answers.seeds)} seeds{calibration(answers)}", flush=True)  # fmt: skip
    try:
        server.run(sockets=[listening])
    finally:
        application.close()
    print(f"serve {name}: stopped", file=sys.stderr)
