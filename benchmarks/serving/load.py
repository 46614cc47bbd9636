"""Load on a server: closed loop, where clients wait for their answers, and open loop, where requests come anyway."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.serving.http import Connection, Target, connect

_TIMEOUT_S = 20.0
_MOST_CONNECTIONS = 1024


@dataclass(frozen=True)
class Load:
    """What to send.

    Attributes:
        texts: texts in one request.
        seconds: for how long.
        clients: closed loop with so many clients, or 0.
        rate: open loop with so many requests a second, or 0.
    """

    texts: int
    seconds: float
    clients: int = 0
    rate: float = 0.0


@dataclass
class Seen:
    """What came back.

    Attributes:
        latencies_s: of the requests that were answered well; of an open loop from the time they were due.
        errors: requests that were not, by what was seen.
        seconds: the time it took.
    """

    latencies_s: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def fail(self, what: str) -> None:
        """Count an error."""
        self.errors[what] = self.errors.get(what, 0) + 1

    @property
    def requests_per_s(self) -> float:
        """Good answers a second."""
        return len(self.latencies_s) / self.seconds

    def percentile_ms(self, percent: int) -> float:
        """A percentile of the latencies; not a number if there are none."""
        if len(self.latencies_s) < 2:
            return float("nan")
        return statistics.quantiles(self.latencies_s, n=100, method="inclusive")[percent - 1] * 1000


async def apply(target: Target, bodies: Sequence[bytes], load: Load) -> Seen:
    """Send a load and say what came back.

    Args:
        target: where to.
        bodies: of requests, taken in turn.
        load: how many.
    """
    requests = itertools.cycle([target.request(body) for body in bodies])
    seen = Seen()
    begin = time.perf_counter()
    if load.clients:
        end = begin + load.seconds
        await asyncio.gather(*(_client(target, requests, end, seen) for _ in range(load.clients)))
    else:
        await _arrivals(target, requests, load, seen)
    seen.seconds = time.perf_counter() - begin
    return seen


async def _client(target: Target, requests: Iterator[bytes], end: float, seen: Seen) -> None:
    connection: Connection | None = None
    while (begin := time.perf_counter()) < end:
        connection = await _ask(target, connection, next(requests), begin, seen)
    if connection is not None:
        connection.close()


async def _ask(
    target: Target, connection: Connection | None, request: bytes, since: float, seen: Seen
) -> Connection | None:
    """One request; the connection to use for the next one."""
    try:
        if connection is None or connection.transport is None:
            connection = await connect(target)
        status, _ = await connection.send(request, _TIMEOUT_S)
    except TimeoutError:
        seen.fail("timeout")
        return None
    except OSError:
        seen.fail("connection")
        await asyncio.sleep(0.01)
        return None
    if status == 200:
        seen.latencies_s.append(time.perf_counter() - since)
    else:
        seen.fail(str(status))
    return connection


async def _arrivals(target: Target, requests: Iterator[bytes], load: Load, seen: Seen) -> None:
    """Requests at even distances, whether or not the earlier ones have been answered."""
    idle: list[Connection] = []
    tasks: set[asyncio.Task[None]] = set()

    async def one(due: float) -> None:
        connection = await _ask(target, idle.pop() if idle else None, next(requests), due, seen)
        if connection is not None:
            idle.append(connection)

    begin = time.perf_counter()
    for number in range(int(load.rate * load.seconds)):
        due = begin + number / load.rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        if len(tasks) >= _MOST_CONNECTIONS:
            seen.fail("no connection left")
            continue
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    if tasks:
        await asyncio.wait(tasks)
    for connection in idle:
        connection.close()
