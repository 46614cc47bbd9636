"""The way into the endpoints that do work: key, rate, load, body, deadline; in this order, cheapest first."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from fastapi import Request
from starlette.requests import ClientDisconnect

from serving.errors import Abandoned, BodyTooLarge, InvalidRequest, NotJson, Overloaded, SlowBody
from serving.requests import parse_json
from serving.security import Caller, KeyRing, RateLimiter
from serving.service import Service
from serving.settings import ServiceSettings

TIMEOUT_HEADER: Final = "x-request-timeout-ms"


@dataclass(frozen=True)
class Asked:
    """What a request that was let in asks.

    Attributes:
        body: the value of its JSON body.
        timeout_s: its whole time.
        deadline: when that is over, by the event loop's clock.
    """

    body: Any
    timeout_s: float
    deadline: float


class Door:
    """Lets requests in.

    Args:
        settings: keys, limits.
        service: whose load decides whether there is room.

    Raises:
        SettingsError: the keys in the settings are malformed.
    """

    def __init__(self, settings: ServiceSettings, service: Service, keys: KeyRing, limiter: RateLimiter) -> None:
        self._settings, self._service, self._keys, self._limiter = settings, service, keys, limiter

    def identify(self, request: Request) -> Caller:
        """Who is calling, counted against their rate.

        Raises:
            KeyRefused: keys are set and none of them was sent.
            RateLimited: the caller's share is used up.
        """
        caller = self._keys.caller(request.headers, request.client.host if request.client else "unknown")
        request.state.caller = caller.name
        self._limiter.take(caller.name)
        return caller

    def admit_admin(self, request: Request) -> None:
        """Let only an admin pass.

        Raises:
            KeyRefused: keys are set and none of them was sent.
            AdminOnly: the key is not an admin's.
        """
        self._keys.admin(self.identify(request))

    async def enter(self, request: Request) -> Asked:
        """Let a request with a JSON body in.

        Raises:
            RefusedRequest: it is not let in; see `serving.errors` for the ways.
            Abandoned: the client left before its body was there.
        """
        self.identify(request)
        if self._service.in_flight > self._settings.max_in_flight:
            raise Overloaded(f"{self._settings.max_in_flight:,} requests are being answered already", 1)
        _expect_json(request)
        timeout_s = _timeout_s(request, self._settings.request_timeout_s)
        deadline = asyncio.get_running_loop().time() + timeout_s
        return Asked(parse_json(await _read(request, self._settings.max_body_bytes, timeout_s)), timeout_s, deadline)


def _expect_json(request: Request) -> None:
    declared = request.headers.get("content-type", "application/json")
    kind = declared.partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise NotJson(declared)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise NotJson(f"Content-Encoding: {encoding}")


def _timeout_s(request: Request, most: float) -> float:
    """The request's own time where it asks for less than it is given."""
    asked = request.headers.get(TIMEOUT_HEADER)
    if asked is None:
        return most
    if not asked.isascii() or not asked.isdigit() or len(asked) > 9 or int(asked) == 0:
        raise InvalidRequest([(f"header {TIMEOUT_HEADER}", "must be a whole number of milliseconds above 0")])
    return min(most, int(asked) / 1000)


async def _read(request: Request, limit: int, timeout_s: float) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > limit:
        raise BodyTooLarge(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise BodyTooLarge(limit)
    except TimeoutError:
        raise SlowBody(
            f"the body did not arrive within {timeout_s:g} s; send it faster or in smaller requests"
        ) from None
    except ClientDisconnect:
        raise Abandoned("the client left while sending") from None
    return bytes(body)
