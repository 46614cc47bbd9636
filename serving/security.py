"""Who may call: API keys kept as hashes, a rate limit for each, and the headers every answer carries."""

from __future__ import annotations

import hashlib
import hmac
import math
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from serving.errors import AdminOnly, KeyRefused, RateLimited, SettingsError
from serving.settings import ServiceSettings

HEADERS: Final[Mapping[bytes, bytes]] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
}
DOCS_POLICY: Final = (
    b"default-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    b"script-src 'unsafe-inline' https://cdn.jsdelivr.net; style-src 'unsafe-inline' https://cdn.jsdelivr.net; "
    b"frame-ancestors 'none'"
)
"""The interactive documentation loads its page from a CDN."""

SHORTEST_KEY: Final = 16
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}(?::admin)?")
_HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")
_MOST_BUCKETS: Final = 10_000


@dataclass(frozen=True)
class Caller:
    """Who sent a request.

    Attributes:
        name: of the key, or the address where no keys are set; for the rate limit and the log.
        admin: whether the key may change what the service does.
    """

    name: str
    admin: bool = False


def hashed(key: str) -> str:
    """A key as it is kept: keys are long and random, so that a plain SHA-256 cannot be searched."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def new_key(name: str) -> tuple[str, str]:
    """A fresh key and the entry to configure for it.

    Raises:
        SettingsError: the name has characters other than letters, digits, ``_``, ``.`` and ``-``.
    """
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"key name {name!r}: use 1 to 64 letters, digits, _, . or -, and :admin at the end for an admin"
        )
    key = "fk_" + secrets.token_urlsafe(32)
    return key, f"{name}={hashed(key)}"


class KeyRing:
    """The keys that are known, as hashes.

    Args:
        settings: names keys in ``api_keys`` and ``api_keys_file``; an entry is ``NAME=KEY`` or ``NAME=sha256:HEX``,
            and the name of an admin's key ends in ``:admin``. With no entry at all the service is open.

    Raises:
        SettingsError: an entry is malformed; the message gives its number, never its content.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        entries = settings.api_keys.get_secret_value().replace("\n", ",").split(",")
        if settings.api_keys_file is not None:
            try:
                entries += settings.api_keys_file.read_text("utf-8").splitlines()
            except (OSError, UnicodeDecodeError) as error:
                raise SettingsError(
                    f"api_keys_file {settings.api_keys_file} cannot be read: {type(error).__name__}"
                ) from None
        lines = [entry.strip() for entry in entries]
        self._keys = [_entry(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def caller(self, headers: Mapping[str, str], address: str) -> Caller:
        """Who sent a request with these headers.

        Every key is compared, in constant time, so that how long it takes says nothing.

        Raises:
            KeyRefused: keys are set and the request carries none of them.
        """
        if not self._keys:
            return Caller(address)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        sent = token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        if not sent:
            raise KeyRefused("no API key: send Authorization: Bearer KEY or X-API-Key: KEY")
        given = hashed(sent).encode()
        found = [caller for known, caller in self._keys if hmac.compare_digest(known, given)]
        if not found:
            raise KeyRefused("the API key is not known here")
        return found[0]

    def admin(self, caller: Caller) -> None:
        """Let only an admin pass.

        Raises:
            AdminOnly: the caller is none.
        """
        if not caller.admin:
            how = "this key is not an admin's" if self._keys else "no admin key is configured"
            raise AdminOnly(f"{how}; configure one with `fankui serve --new-key NAME:admin`")


def _entry(number: int, line: str) -> tuple[bytes, Caller]:
    name, found, secret = line.partition("=")
    if not found or not _NAME.fullmatch(name) or len(secret) < SHORTEST_KEY:
        raise SettingsError(
            f"API key entry {number} is not NAME=KEY with a key of {SHORTEST_KEY} characters or more, or "
            "NAME=sha256:HEX; `fankui serve --new-key NAME` makes one"
        )
    if secret.startswith("sha256:") and not _HASH.fullmatch(secret):
        raise SettingsError(f"API key entry {number} ({name}): sha256: must be followed by 64 hexadecimal digits")
    known = secret if _HASH.fullmatch(secret) else hashed(secret)
    return known.encode(), Caller(name.removesuffix(":admin"), name.endswith(":admin"))


class RateLimiter:
    """A token bucket for each caller.

    Args:
        per_s: requests a second; 0 is no limit.
        burst: requests that may come at once.
        clock: monotonic seconds.
    """

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> None:
        """Count one request of a caller.

        Raises:
            RateLimited: the bucket is empty.
        """
        if not self._per_s:
            return
        now = self._clock()
        tokens, since = self._buckets.pop(name, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - since) * self._per_s)
        self._buckets[name] = (max(tokens - 1.0, 0.0) if tokens >= 1.0 else tokens, now)
        if len(self._buckets) > _MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if tokens < 1.0:
            raise RateLimited(self._per_s, max(1, math.ceil((1.0 - tokens) / self._per_s)))
