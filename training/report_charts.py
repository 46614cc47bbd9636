"""Small charts as inline SVG; colours come from the page's style, so they follow light and dark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from markupsafe import Markup, escape

from training.resampling import wilson

_PLOT: Final = 220
_LEFT: Final = 34
_TOP: Final = 8
_BARS: Final = 34


def bar(value: float, bounds: Sequence[float] | None = None, most: float = 1.0) -> Markup:
    """A bar from 0 to ``most`` with its interval as a line; for table cells."""

    def x(number: float) -> float:
        return round(1 + 98 * min(max(number / most, 0.0), 1.0), 1)

    parts = [f'<rect class="fill" x="1" y="3" width="{x(value) - 1:.1f}" height="8" rx="1"/>']
    if bounds:
        low, high = x(bounds[0]), x(bounds[1])
        parts.append(f'<path class="whisker" d="M{low} 7H{high}M{low} 4v6M{high} 4v6"/>')
    return Markup(  # noqa: S704 numbers only
        '<svg class="bar" viewBox="0 0 100 14" aria-hidden="true">'
        f'<rect class="track" x="1" y="3" width="98" height="8" rx="1"/>{"".join(parts)}</svg>'
    )


def reliability(title: str, bins: Sequence[Mapping[str, Any]]) -> Markup:
    """Observed against claimed frequency with 95 % intervals, and how many claims lie in each bin below.

    Args:
        title: read out to who cannot see it.
        bins: of `training.metrics.reliability`.
    """

    def x(share: float) -> float:
        return round(_LEFT + _PLOT * share, 1)

    def y(share: float) -> float:
        return round(_TOP + _PLOT * (1 - share), 1)

    parts = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        parts.append(f'<path class="grid" d="M{x(tick)} {y(0)}V{y(1)}M{x(0)} {y(tick)}H{x(1)}"/>')
        parts.append(f'<text x="{x(tick)}" y="{y(0) + 14}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{x(0) - 5}" y="{y(tick) + 3}" text-anchor="end">{tick:g}</text>')
    parts.append(f'<path class="ideal" d="M{x(0)} {y(0)}L{x(1)} {y(1)}"/>')
    line = " ".join(f"{x(row['confidence'])},{y(row['accuracy'])}" for row in bins)
    parts.append(f'<polyline class="line" points="{line}"/>')
    most = max(row["n"] for row in bins)
    base = y(0) + 24 + _BARS
    for row in bins:
        low, high = wilson(int(row["hits"]), int(row["n"]))
        centre = x(row["confidence"])
        tip = f"said {row['confidence']:.2f}, held {row['accuracy']:.2f} of {row['n']}"
        height = max(1.0, round(_BARS * row["n"] / most, 1))
        parts.append(f'<path class="whisker" d="M{centre} {y(low)}V{y(high)}"/>')
        parts.append(
            f'<circle class="dot" cx="{centre}" cy="{y(row["accuracy"])}" r="3.5"><title>{tip}</title></circle>'
        )
        parts.append(
            f'<rect class="fill" x="{centre - 6:.1f}" y="{base - height:.1f}" width="12" height="{height}">'
            f"<title>{tip}</title></rect>"
        )
    width, tall = _LEFT + _PLOT + 12, base + 4
    return Markup(  # noqa: S704 numbers, and the title escaped
        f'<svg class="plot" viewBox="0 0 {width} {tall}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def differences(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Markup:
    """Differences with their 95 % intervals around a line at zero.

    Args:
        rows: name and ``{"difference", "interval", "p"}`` each.
    """
    if not rows:
        return Markup("")
    reach: float = max(0.01, *(abs(bound) for _, row in rows for bound in row["interval"])) * 1.1

    def x(value: float) -> float:
        return round(150.0 + 150.0 * (value / reach + 1.0), 1)

    parts = [f'<path class="axis" d="M{x(0)} 4V{len(rows) * 26 + 6}"/>']
    for number, (name, row) in enumerate(rows):
        y, (low, high) = 18 + 26 * number, row["interval"]
        kind = "better" if low > 0 else "worse" if high < 0 else "level"
        parts.append(f'<text x="0" y="{y + 4}">{escape(name)}</text>')
        parts.append(
            f'<path class="whisker {kind}" d="M{x(low)} {y}H{x(high)}M{x(low)} {y - 4}v8M{x(high)} {y - 4}v8"/>'
        )
        parts.append(f'<circle class="dot {kind}" cx="{x(row["difference"])}" cy="{y}" r="4"/>')
    foot = len(rows) * 26 + 20
    for value in (-reach / 1.1, 0.0, reach / 1.1):
        parts.append(f'<text x="{x(value)}" y="{foot}" text-anchor="middle">{value:+.3f}</text>')
    return Markup(  # noqa: S704 numbers, and names escaped
        f'<svg class="forest" viewBox="0 0 480 {foot + 6}" role="img" aria-label="differences">{"".join(parts)}</svg>'
    )
