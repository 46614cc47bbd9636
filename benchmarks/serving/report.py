"""The tables, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.serving.measure import Row

TITLES = {
    "shipped": "As shipped: fankui's service with its int8 bundle; the others with the same weights in float32",
    "engine": "Framework only: each around fankui's own tokenizer and engine",
}
_HEAD = (
    "| server | texts a request | load | texts/s | p50 ms | p99 ms | errors "
    "| cores | generator's cores | peak RSS MB |\n|---|---|---|---|---|---|---|---|---|---|"
)


def tables(rows: Sequence[Row]) -> str:
    """Both tables, and why a server is missing from one."""
    parts = []
    for work, title in TITLES.items():
        own = [row for row in rows if row.work == work]
        if own:
            parts.append("\n".join([f"**{title}**", "", _HEAD, *map(_line, sorted(own, key=_place))]))
    return "\n\n".join(parts)


def _place(row: Row) -> tuple[int, str, bool]:
    kind = row.load.split(" (")[0]
    return row.texts, f"{kind:>12}" if "clients" in kind else kind, row.server != "fankui"


def _line(row: Row) -> str:
    if not row.load:
        return f"| {row.server} | {' '.join(row.note.split()).replace('|', '/')} |" + " |" * 8
    return (
        f"| {row.server} | {row.texts} | {row.load} | {row.texts_per_s:.0f} | {row.p50_ms:.1f} | {row.p99_ms:.1f} "
        f"| {row.errors} | {row.server_cores:.2f} | {row.generator_cores:.2f} | {row.peak_rss_mb:.0f} |"
    )
