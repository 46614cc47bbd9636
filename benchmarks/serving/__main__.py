"""fankui's service beside others, on the same weights and the same machine.

make bench-serving
python -m benchmarks.serving --bundle runs/bundle [--peers fankui,mosec] [--works shipped] [--seconds 5]

Every server gets an environment of its own under --environments; one whose packages cannot be installed, or that does
not start, is reported as not run. --results keeps what was measured, so that servers can be measured one by one.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from benchmarks.serving.measure import Plan, Row, measure
from benchmarks.serving.peers import PEERS, Peer, Work
from benchmarks.serving.report import tables
from data.corpus import read_split


def _arguments() -> argparse.Namespace:
    names = ",".join(peer.name for peer in PEERS)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--bundle", type=Path, default=Path("runs/bundle"), help="a whole bundle, as fankui train writes"
    )
    parser.add_argument("--peers", default=names, help=f"of {names}")
    parser.add_argument("--works", default=",".join(get_args(Work)), help="tables: shipped, engine")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each load")
    parser.add_argument("--warm-up-s", type=float, default=1.0)
    parser.add_argument("--rate", type=float, default=0.0, help="also an open loop with so many requests/s for all")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="for each server's model")
    parser.add_argument("--environments", type=Path, default=Path("runs/serving/environments"))
    parser.add_argument("--results", type=Path, default=Path("runs/serving/results.json"))
    parser.add_argument("--report", action="store_true", help="only print the tables of --results")
    return parser.parse_args()


def _read(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text("utf-8"))] if path.is_file() else []


def _raw_engine(plan: Plan) -> float:
    """Texts a second of the engine in process, in batches of 64."""
    from model.classifier import Classifier

    classifier, texts = Classifier.load(plan.bundle, plan.threads), list(plan.texts)
    classifier.predict(texts[:64])
    count, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < plan.seconds:
        classifier.predict([texts[(count + number) % len(texts)] for number in range(64)])
        count += 64
    return count / (time.perf_counter() - begin)


def _wanted(names: Sequence[str], works: Sequence[str]) -> list[tuple[Peer, Work]]:
    if unknown := set(names) - {peer.name for peer in PEERS}:
        raise SystemExit(f"unknown server: {', '.join(sorted(unknown))}")
    pairs = [(peer, work) for work in get_args(Work) if work in works for peer in PEERS if work in peer.works]
    return [(peer, work) for peer, work in pairs if peer.name in names]


def main() -> None:
    """Measure, keep the results and print the tables."""
    args = _arguments()
    args.results.parent.mkdir(parents=True, exist_ok=True)
    texts = [record.text for record in read_split("test")]
    plan = Plan(
        args.bundle.resolve(), texts, args.seconds, args.warm_up_s, args.threads, args.environments,
        args.results.parent.resolve(), args.rate,
    )  # fmt: skip
    rows = _read(args.results)
    if not args.report:
        for work in get_args(Work):
            for peer in PEERS:
                if (
                    work not in args.works.split(",")
                    or work not in peer.works
                    or peer.name not in args.peers.split(",")
                ):
                    continue
                print(f"{peer.name}, {work} …", flush=True)
                kept = [row for row in rows if (row.server, row.work) != (peer.name, work)]
                rows = kept + measure(peer, work, plan)
                args.results.write_text(json.dumps([row.to_dict() for row in rows], indent=1), "utf-8")
        print(f"the engine in process, batches of 64: {_raw_engine(plan):.0f} texts/s")
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {args.threads} threads a model\n")
    print(tables(rows))


if __name__ == "__main__":
    main()
