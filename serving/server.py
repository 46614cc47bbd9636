"""The server process: says when it is ready, and stops in an order that loses nothing."""

from __future__ import annotations

import asyncio
import socket
import time
from types import FrameType

import uvicorn
from fastapi import FastAPI

from serving.service import Service
from serving.settings import ServiceSettings


class Server(uvicorn.Server):
    """Answers on one socket until a signal.

    The first SIGTERM or SIGINT makes the service say that it is not ready while it still answers, so that whoever
    spreads the load can look elsewhere; after the drain delay the port is closed and what has begun is answered.
    A second signal stops at once.

    Args:
        app: from `serving.app.create_app`.
        settings: the same that the app was made with.
        listener: a bound socket.
        began: when the start began, by ``time.perf_counter``.
    """

    def __init__(self, app: FastAPI, settings: ServiceSettings, listener: socket.socket, began: float) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="on",
                ws="none",
                backlog=2048,
                timeout_keep_alive=30,
                timeout_graceful_shutdown=settings.drain_timeout_s,
            )
        )
        self._settings, self._listener, self._began = settings, listener, began
        self._service: Service = app.state.service
        self._running: asyncio.AbstractEventLoop | None = None

    def run_to_end(self) -> int:
        """Serve until a signal.

        Returns:
            0 after a drained stop, 1 if the start failed or requests had to be cut off.
        """
        self.run(sockets=[self._listener])
        return 0 if self.started and not self._service.in_flight else 1

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Warm up, open the port and say so in one line."""
        self._running = asyncio.get_running_loop()
        await super().startup(sockets)
        if self.started:
            host = f"[{self._settings.host}]" if ":" in self._settings.host else self._settings.host
            where = f"http://{host}:{self._listener.getsockname()[1]}"
            took_s = time.perf_counter() - self._began
            version = self._service.classifier.model_version
            print(f"fankui: ready on {where} (model {version}, {took_s:.1f} s)", flush=True)  # noqa: T201 - the one line

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal; it is not passed on to uvicorn, which would raise it again and never exit with 0."""
        if self._service.draining or self._running is None:
            self.force_exit = self.should_exit  # a third signal does not even wait for the app's own end
            self.config.timeout_graceful_shutdown = 0
            self.should_exit = True
            return
        self._service.draining = True
        self._running.call_soon_threadsafe(self._running.call_later, self._settings.drain_delay_s, self._close)

    def _close(self) -> None:
        self.should_exit = True
