"""Serves the page of a session on loopback until Ctrl+C."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from host_tools.errors import UsageError
from host_tools.live.guard import LOOPBACK, Guard, new_token
from host_tools.live.page import install
from host_tools.live.session import Session
from host_tools.terminal import ended_by_ctrl_c

END_S = 1  # for open connections


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # A page that waits for its next picture is cut off; that is no error to tell of.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        await super().shutdown(sockets)


def serve(session: Session, port: int | None, ready: Callable[[str], None]) -> None:
    """Run `session` and its page; `ready` gets the page's address.

    Returns after Ctrl+C, when session and emulator have ended. Raises UsageError for a port that is
    in use.
    """
    listening = _listen(port)
    own_port = listening.getsockname()[1]
    token = new_token()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    install(app, session, token)
    config = uvicorn.Config(
        Guard(app, token, own_port),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=END_S,
    )
    server = _Server(config, lambda: ready(f"http://{LOOPBACK}:{own_port}/{token}/"))
    logging.getLogger("nicegui").setLevel(logging.ERROR)
    session.start()
    try:
        with listening, _terminated(), ended_by_ctrl_c():
            server.run(sockets=[listening])
    finally:
        session.stop()


@contextlib.contextmanager
def _terminated() -> Iterator[None]:
    """SIGTERM ends as an exception does, so that the emulator is not left behind."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _listen(port: int | None) -> socket.socket:
    opened = socket.socket()
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind((LOOPBACK, port or 0))
    except (OSError, OverflowError) as error:
        opened.close()
        raise UsageError(
            f"port {port} of this computer cannot be used: {error}; give another one, or none: "
            "HTTP_PORT=8081"
        ) from error
    return opened
