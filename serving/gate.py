"""What every request passes first and last: its id, the count, the log line and the headers."""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.errors import Abandoned
from serving.problems import problem
from serving.security import DOCS_POLICY, HEADERS
from serving.service import Service

_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DOCS: Final = ("/docs", "/openapi.json")
_log = logging.getLogger("fankui.access")


class Gate:
    """ASGI middleware around the whole app.

    Every request that begins here ends here with exactly one outcome: ``ok``, the code of its problem,
    ``abandoned`` or ``internal_error``. The log names the route's template, not the path, which may hold anything.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = _request_id(scope)
        state["outcome"] = "ok"
        began = time.perf_counter()
        status = 0

        async def sealed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._seal(scope, message, request_id)
            await send(message)

        self._service.in_flight += 1
        self._service.metrics.request_started()
        try:
            await self._app(scope, receive, sealed)
        except Abandoned:
            state["outcome"], status = Abandoned.code, 499
        except asyncio.CancelledError:
            state["outcome"] = "cancelled"
            raise
        except Exception as error:
            _log.exception("a request failed inside the service", extra={"request_id": request_id})
            state["outcome"] = "internal_error"
            if not status:
                await problem(error, request_id)(scope, receive, sealed)
        finally:
            self._service.in_flight -= 1
            self._ended(scope, status, time.perf_counter() - began)

    def _seal(self, scope: Scope, message: Message, request_id: str) -> None:
        """Add the headers that every answer carries."""
        headers = dict(HEADERS)
        if scope["path"] in _DOCS:
            headers[b"content-security-policy"] = DOCS_POLICY
        headers[b"x-request-id"] = request_id.encode()
        if self._service.draining:
            headers[b"connection"] = b"close"
        message["headers"] = [*message.get("headers", ()), *headers.items()]

    def _ended(self, scope: Scope, status: int, seconds: float) -> None:
        state = scope["state"]
        plain = scope["path"] if scope["path"] in _DOCS else "unmatched"
        route = str(getattr(scope.get("route"), "path", plain))
        self._service.metrics.request_ended(route, state["outcome"], seconds)
        fields = {"request_id": state["request_id"], "method": scope["method"], "route": route, "status": status}
        fields |= {"outcome": state["outcome"], "ms": round(seconds * 1000, 2)}
        fields |= {name: state[name] for name in ("caller", "texts") if name in state}
        _log.info("request", extra=fields)


def _request_id(scope: Scope) -> str:
    """The client's own id where it sent a sound one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex
