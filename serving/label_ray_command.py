"""``fankui label --engine ray``: label folders of files on a cluster."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from serving.label_options import LabelOptions
    from serving.label_shards import Shard

_SHOWN: Final = 10
_READERS: Final = 16


def label_with_ray(args: argparse.Namespace, options: LabelOptions) -> int:
    """Label on a Ray cluster.

    Args:
        args: of ``fankui label``.
        options: how to label.

    Returns:
        The exit code.
    """
    from model.bundle import open_bundle
    from serving.label_shards import plan_shards

    began = time.monotonic()
    version = open_bundle(Path(args.bundle) if args.bundle else None).model_version
    shards = plan_shards(args.inputs, args.output, args.input_format, args.output_format)
    outcomes = [] if options.restart else _finished_before(shards, options, version)
    before = {outcome["output"] for outcome in outcomes}
    left = [shard for shard in shards if shard.output not in before]
    outcomes += _labelled(args, left, options, version, sum(shard.bytes for shard in shards)) if left else []
    return _report(args, outcomes, time.monotonic() - began)


def _finished_before(shards: Sequence[Shard], options: LabelOptions, version: str) -> list[dict[str, Any]]:
    from serving.label_shards import finished

    with ThreadPoolExecutor(_READERS) as pool:
        summaries = pool.map(lambda shard: finished(shard, options, version), shards)
        return [
            {"input": shard.source, "output": shard.output, **summary, "already_done": True}
            for shard, summary in zip(shards, summaries, strict=True)
            if summary is not None
        ]


def _labelled(
    args: argparse.Namespace, shards: Sequence[Shard], options: LabelOptions, version: str, whole: int
) -> list[dict[str, Any]]:
    from serving.label_progress import Progress
    from serving.label_ray import ClusterOptions, label_on_ray

    cluster = ClusterOptions(args.ray_address, args.actors, args.threads or 1, args.bundle)
    sizes = {shard.output: shard.bytes for shard in shards}
    progress, outcomes = Progress(sys.stderr, args.quiet), []
    done, rows = 0, 0
    try:
        for outcome in label_on_ray(shards, cluster, options, version):
            outcomes.append(outcome)
            done += sizes[outcome["output"]]
            rows += outcome.get("rows_in", 0)
            progress.update(rows, done / sum(sizes.values()) if whole else None)
    finally:
        progress.finish()
    return outcomes


def _report(args: argparse.Namespace, outcomes: list[dict[str, Any]], seconds: float) -> int:
    from serving.checkpoint import json_bytes
    from serving.label_summary import summary_text
    from serving.label_totals import exit_code, total

    failed = [outcome for outcome in outcomes if "failed" in outcome]
    good = [outcome for outcome in outcomes if "failed" not in outcome]
    new = [outcome for outcome in good if not outcome["already_done"]]
    totals = total(good, seconds, sum(outcome["rows_in"] for outcome in new))
    if args.summary is not None:
        result = {"files": sorted(outcomes, key=lambda outcome: str(outcome["input"])), "total": totals}
        args.summary.write_bytes(json_bytes(result))
    print(f"{len(outcomes):,} files → {args.output}: {len(new):,} labelled, {len(good) - len(new):,} finished before")
    if good:
        print(summary_text(totals))
    for outcome in failed[:_SHOWN]:
        print(f"fankui: {outcome['input']}: {outcome['failed']}", file=sys.stderr)
    if failed:
        rest = f", {_SHOWN} are shown, --summary FILE tells all" if len(failed) > _SHOWN else ""
        print(f"fankui: {len(failed):,} of {len(outcomes):,} files failed{rest}", file=sys.stderr)
    return exit_code(bool(failed), args.strict and bool(totals["rejects"] or totals["errors"]))
