"""The Python client of the service, for programs with and without asyncio.

What to send, when to try again and how to read the answer is one generator, `_exchange`; `Client` and
`AsyncClient` only carry out its steps.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import httpx

from serving.errors import ServiceRefused, ServiceUnreachable

ITEMS_PER_REQUEST: Final = 64
_TRY_AGAIN: Final = (429, 503)
_LONGEST_PAUSE_S: Final = 60.0


@dataclass(frozen=True)
class Answer:
    """What the service says of one text.

    Attributes:
        id: as sent.
        model_version: of the bundle that said it.
        values: every key of the result: ``topics``, ``urgency``, ``needs_review``, …; empty if there is an error.
        error_code: why the text could not be classified, such as ``blank_text``, or None.
        error_message: the same for people.
    """

    id: str | int | None
    model_version: str
    values: Mapping[str, Any] = field(default_factory=dict)
    error_code: str | None = None
    error_message: str | None = None

    def __getitem__(self, key: str) -> Any:
        return self.values[key]


@dataclass(frozen=True)
class _Pause:
    seconds: float


_Flow = Generator["httpx.Request | _Pause", "httpx.Response | httpx.TransportError | None", Any]


def _exchange(request: httpx.Request, retries: int) -> _Flow:
    """Send a request, again if the service is busy or gone for the moment; returns the answer's JSON.

    Raises:
        ServiceRefused: the answer is a problem.
        ServiceUnreachable: there is no answer, or none that makes sense.
    """
    for attempt in range(retries + 1):
        outcome = yield request
        last = attempt == retries
        if isinstance(outcome, httpx.Response):
            if outcome.status_code < 400:
                return _value(outcome)
            pause = _pause_s(outcome, attempt)
            if last or outcome.status_code not in _TRY_AGAIN or pause > _LONGEST_PAUSE_S:
                raise _refused(outcome)
            yield _Pause(pause)
        else:
            # A time-out is not tried again: the caller's time is over.
            if last or isinstance(outcome, httpx.TimeoutException):
                raise ServiceUnreachable(
                    f"no answer from {request.url}: {type(outcome).__name__}: {outcome}"
                ) from outcome
            yield _Pause(_backoff_s(attempt))
    raise AssertionError("the last attempt returns or raises")


def _value(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError as error:
        raise ServiceUnreachable(f"{response.url} answers, but not as fankui does; is the address right?") from error


def _refused(response: httpx.Response) -> ServiceRefused:
    try:
        body = response.json()
        code, detail = str(body["code"]), str(body["detail"])
    except (ValueError, KeyError, TypeError):
        code, detail = "unknown", f"{response.url} answers {response.status_code} and not as fankui does"
    return ServiceRefused(response.status_code, code, detail, response.headers.get("x-request-id"))


def _pause_s(response: httpx.Response, attempt: int) -> float:
    """What the service asks for, and a little more, so that those it refused do not all come back at once."""
    asked = response.headers.get("retry-after", "")
    return float(asked) + random.random() / 4 if asked.isdigit() else _backoff_s(attempt)


def _backoff_s(attempt: int) -> float:
    return min(5.0, 0.1 * 2.0**attempt) * (0.5 + random.random())


def _classification(
    client: httpx.Client | httpx.AsyncClient,
    texts: str | Sequence[str],
    ids: Sequence[str | int | None] | None,
    mask: bool,
    retries: int,
) -> _Flow:
    """Classify texts in as many requests as needed; returns the list of answers."""
    texts = [texts] if isinstance(texts, str) else list(texts)
    names: list[str | int | None] = [None] * len(texts) if ids is None else list(ids)
    if len(names) != len(texts):
        raise ValueError(f"{len(texts)} texts but {len(names)} ids; give one id a text")
    answers: list[Answer] = []
    for begin in range(0, len(texts), ITEMS_PER_REQUEST):
        pairs = zip(names[begin:], texts[begin : begin + ITEMS_PER_REQUEST], strict=False)
        items = [{"id": name, "text": text} for name, text in pairs]
        request = client.build_request("POST", "v1/classify", json={"items": items, "mask": mask})
        body = yield from _exchange(request, retries)
        answers += [_answer(result, str(body["model_version"])) for result in body["results"]]
    return answers


def _answer(result: dict[str, Any], version: str) -> Answer:
    identifier = result.pop("id")
    if "error" in result:
        return Answer(identifier, version, {}, result["error"]["code"], result["error"]["message"])
    return Answer(identifier, version, result)


def _options(url: str, api_key: str | None, timeout_s: float) -> dict[str, Any]:
    # The service is told when the caller stops waiting, so that it does no work that nobody reads.
    headers = {"x-request-timeout-ms": str(max(1, int(timeout_s * 1000)))}
    if api_key is not None:
        headers["authorization"] = f"Bearer {api_key}"
    return {"base_url": url, "headers": headers, "timeout": timeout_s}


class Client:
    """Asks a running service.

    Example:
        >>> with Client("http://localhost:8000") as client:  # doctest: +SKIP
        ...     client.classify("转账一直失败，钱扣了对方没收到")[0]["urgency"]
        'high'

    Args:
        url: where `fankui serve` listens.
        api_key: if the service wants one.
        timeout_s: seconds one request may take.
        retries: times to try again when the service is busy (429), stopping (503) or out of reach; it waits as
            long as the service asks.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = 30.0, retries: int = 3) -> None:
        self._http = httpx.Client(**_options(url, api_key, timeout_s))
        self._retries = retries

    def classify(
        self, texts: str | Sequence[str], ids: Sequence[str | int | None] | None = None, mask: bool = False
    ) -> list[Answer]:
        """Classify one text or any number; more than 64 go in several requests.

        Args:
            texts: a text or several.
            ids: echoed in the answers.
            mask: also ask for the texts with personal data masked, as ``masked_text``.

        Returns:
            One `Answer` a text, in order; one that could not be classified has an ``error_code``.

        Raises:
            ServiceRefused: a whole request was refused.
            ServiceUnreachable: there was no answer.
        """
        answers: list[Answer] = self._carry_out(_classification(self._http, texts, ids, mask, self._retries))
        return answers

    def model(self) -> dict[str, Any]:
        """Version, taxonomy, metrics and provenance of the bundle that answers; raises as `classify`."""
        model: dict[str, Any] = self._carry_out(_exchange(self._http.build_request("GET", "v1/model"), self._retries))
        return model

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _carry_out(self, flow: _Flow) -> Any:
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = flow.send(outcome)
                if isinstance(step, _Pause):
                    time.sleep(step.seconds)
                    outcome = None
                    continue
                try:
                    outcome = self._http.send(step)
                except httpx.TransportError as error:
                    outcome = error
        except StopIteration as done:
            return done.value


class AsyncClient:
    """`Client` for asyncio: the same methods, awaited.

    Args:
        url: where `fankui serve` listens.
        api_key: if the service wants one.
        timeout_s: seconds one request may take.
        retries: as in `Client`.
    """

    def __init__(self, url: str, api_key: str | None = None, timeout_s: float = 30.0, retries: int = 3) -> None:
        self._http = httpx.AsyncClient(**_options(url, api_key, timeout_s))
        self._retries = retries

    async def classify(
        self, texts: str | Sequence[str], ids: Sequence[str | int | None] | None = None, mask: bool = False
    ) -> list[Answer]:
        """Classify one text or any number; see `Client.classify`."""
        answers: list[Answer] = await self._carry_out(_classification(self._http, texts, ids, mask, self._retries))
        return answers

    async def model(self) -> dict[str, Any]:
        """Version, taxonomy, metrics and provenance of the bundle that answers; raises as `classify`."""
        flow = _exchange(self._http.build_request("GET", "v1/model"), self._retries)
        model: dict[str, Any] = await self._carry_out(flow)
        return model

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _carry_out(self, flow: _Flow) -> Any:
        outcome: httpx.Response | httpx.TransportError | None = None
        try:
            while True:
                step = flow.send(outcome)
                if isinstance(step, _Pause):
                    await asyncio.sleep(step.seconds)
                    outcome = None
                    continue
                try:
                    outcome = await self._http.send(step)
                except httpx.TransportError as error:
                    outcome = error
        except StopIteration as done:
            return done.value
