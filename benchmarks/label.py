"""How fast ``fankui label`` is beside the raw engine and the usual other ways, its memory, and what kills do to it.

    python -m benchmarks.label [--bundle FOLDER] [--threads 1]      rates
    python -m benchmarks.label --memory                             memory over the rows of a long file
    python -m benchmarks.label --kill-run [--rows 200000]           a faulty file killed five times and gone on with

Prints Markdown tables.
"""

from __future__ import annotations

import argparse
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.label_kill import kill_run
from benchmarks.label_memory import memory_curve
from benchmarks.label_rates import rates


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bundle", type=Path, help="for the rates; the shipped one by default")
    add("--threads", type=int, default=0, help="of inference; 0: all cores")
    add("--texts", type=int, default=8_000, help="for the rates")
    add("--slow-texts", type=int, default=1_000, help="for the rates of the slow ways")
    add("--memory", action="store_true")
    add("--kill-run", action="store_true")
    add("--rows", type=int, help="of the long file (1,000,000) or the faulty one (200,000)")
    add("--kills", type=int, default=5)
    args = parser.parse_args()
    options = ["--threads", str(args.threads)] + (["--bundle", str(args.bundle)] if args.bundle else [])
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.platform()}, Python {platform.python_version()}\n", flush=True)
    with tempfile.TemporaryDirectory(prefix="fankui-bench-") as name:
        if args.memory:
            memory_curve(Path(name), args.rows or 1_000_000, 2_000, options)
        elif args.kill_run:
            kill_run(Path(name), args.rows or 200_000, args.kills, options)
        else:
            rates(Path(name), args.bundle, args.texts, args.slow_texts, args.threads)


if __name__ == "__main__":
    main()
