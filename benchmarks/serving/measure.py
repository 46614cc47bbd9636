"""One server under every load."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.serving.environments import InstallError, python_of
from benchmarks.serving.http import Target, connect
from benchmarks.serving.load import Load, Seen, apply
from benchmarks.serving.peers import Peer, Setting, Work
from benchmarks.serving.process import ServerProcess, StartError, running

CLIENTS = (1, 8, 64)
TEXTS = (1, 16)
_OPEN_SHARE = 0.7
_BODIES = 512


@dataclass(frozen=True)
class Plan:
    """How to measure.

    Attributes:
        bundle: a whole bundle, with safetensors.
        texts: real ones, in an order that is always the same.
        seconds: of a load.
        warm_up_s: of the same load before it, not counted.
        threads: for each server's model.
        environments: folder of the servers' environments.
        logs: folder of their logs.
        rate: requests of one text a second that every server gets, beside 70 % of its own peak; 0 for none.
    """

    bundle: Path
    texts: Sequence[str]
    seconds: float
    warm_up_s: float
    threads: int
    environments: Path
    logs: Path
    rate: float


@dataclass(frozen=True)
class Row:
    """A line of a table; only ``note`` is set for a server that was not run."""

    server: str
    work: str
    load: str = ""
    texts: int = 0
    texts_per_s: float = 0.0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    errors: int = 0
    server_cores: float = 0.0
    generator_cores: float = 0.0
    peak_rss_mb: float = 0.0
    note: str = ""

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def measure(peer: Peer, work: Work, plan: Plan) -> list[Row]:
    """All rows of a server; one with a note if it could not be run."""
    try:
        python = python_of(peer, plan.environments)
    except InstallError as error:
        return [Row(peer.name, work, note=f"not run: not installed: {error}")]
    setting = Setting(python, plan.bundle, _free_port(), plan.threads, work)
    target = Target("127.0.0.1", setting.port, peer.path)
    log = plan.logs / f"{peer.name.lower()}-{work}.log"
    try:
        with running(peer.command(setting), setting.environment(), log) as server:
            started_s = server.wait_until(lambda: asyncio.run(_answers(target, peer, plan.texts)))
            rows = asyncio.run(_loads(peer, work, target, plan, server))
            peak_mb = server.peak_rss / 1e6
    except StartError as error:
        return [Row(peer.name, work, note=f"not run: did not start: {error}")]
    return [replace(row, peak_rss_mb=peak_mb, note=f"first answer after {started_s:.1f} s") for row in rows]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _answers(target: Target, peer: Peer, texts: Sequence[str]) -> bool:
    """Whether two texts get two results."""
    try:
        connection = await connect(target)
        status, body = await connection.send(target.request(peer.encoded(texts[:2])), 30)
        connection.close()
    except (OSError, TimeoutError):
        return False
    if status != 200:
        return False
    answer = json.loads(body)
    results = answer if isinstance(answer, list) else answer.get("results", answer.get("data"))
    return isinstance(results, list) and len(results) == 2


def _bodies(peer: Peer, texts: Sequence[str], each: int) -> list[bytes]:
    chance = random.Random(7)
    return [peer.encoded(chance.sample(list(texts), each)) for _ in range(_BODIES)]


async def _loads(peer: Peer, work: Work, target: Target, plan: Plan, server: ServerProcess) -> list[Row]:
    rows = []
    for each in TEXTS:
        bodies, peak = _bodies(peer, plan.texts, each), 0.0
        for clients in CLIENTS:
            load = Load(each, plan.seconds, clients=clients)
            row, seen = await _measured(target, bodies, load, plan, server)
            rows.append(replace(row, server=peer.name, work=work, load=f"{clients} clients"))
            peak = max(peak, seen.requests_per_s)
        rates = [(f"open, 70 % of peak ({_OPEN_SHARE * peak:.0f}/s)", _OPEN_SHARE * peak)]
        if plan.rate and each == 1:
            rates.append((f"open, {plan.rate:.0f}/s", plan.rate))
        for name, rate in rates:
            if rate > 0:
                row, _ = await _measured(target, bodies, Load(each, plan.seconds, rate=rate), plan, server)
                rows.append(replace(row, server=peer.name, work=work, load=name))
    return rows


async def _measured(
    target: Target, bodies: Sequence[bytes], load: Load, plan: Plan, server: ServerProcess
) -> tuple[Row, Seen]:
    await apply(target, bodies, replace(load, seconds=plan.warm_up_s))
    server_s, own_s = server.cpu_s(), time.process_time()
    seen = await apply(target, bodies, load)
    server_s, own_s = server.cpu_s() - server_s, time.process_time() - own_s
    row = Row(
        "",
        "",
        texts=load.texts,
        texts_per_s=seen.requests_per_s * load.texts,
        p50_ms=seen.percentile_ms(50),
        p99_ms=seen.percentile_ms(99),
        errors=sum(seen.errors.values()),
        server_cores=server_s / seen.seconds,
        generator_cores=own_s / seen.seconds,
    )
    return row, seen
