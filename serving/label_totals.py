"""What a run over one or many files comes to: counts and exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

_SUMS: Final = (
    "rows_in", "rows_out", "labelled", "rejects", "needs_review", "duplicates", "replaced_bytes", "blank_lines",
)  # fmt: skip

_EXIT_UNUSABLE: Final = 3
_EXIT_UNLABELLED: Final = 4


def exit_code(failed: bool, unlabelled: bool) -> int:
    """Exit code of ``fankui label``.

    Args:
        failed: whether a file could not be labelled.
        unlabelled: whether rows were left without labels and the person wants to be told by the code.
    """
    return _EXIT_UNUSABLE if failed else _EXIT_UNLABELLED if unlabelled else 0


def total(summaries: Sequence[Mapping[str, Any]], seconds: float, new_rows: int) -> dict[str, Any]:
    """One summary of many, as `Summary.to_dict` gives them.

    What was noticed is told once, with the number of files it was noticed in.

    Args:
        summaries: of the files.
        seconds: that the whole run took.
        new_rows: that were labelled in it; files finished before do not count towards the rate.
    """
    notices = Counter(notice for summary in summaries for notice in summary["notices"])
    codecs = Counter(f"{summary['encoding']}" for summary in summaries if summary["encoding"])
    sums = {name: sum(summary[name] for summary in summaries) for name in _SUMS}
    said = [f"{notice} ({count:,} files)" for notice, count in notices.most_common()]
    if codecs:
        said.insert(0, "read as " + ", ".join(f"{codec} ({count:,} files)" for codec, count in codecs.most_common()))
    if sums["replaced_bytes"]:
        said.insert(1, f"{sums['replaced_bytes']:,} bytes that could not be read became \ufffd")
    return {
        **sums,
        "errors": _added(summary["errors"] for summary in summaries),
        "encoding": None,
        "encoding_reason": None,
        "notices": said,
        "labels": _nested(summaries, "labels"),
        "topics_by_urgency": _nested(summaries, "topics_by_urgency"),
        "seconds": round(seconds, 3),
        "rows_per_second": round(new_rows / seconds, 1) if seconds else None,
    }


def _added(counts: Any) -> dict[str, int]:
    added: dict[str, int] = {}
    for one in counts:
        for name, count in one.items():
            added[name] = added.get(name, 0) + count
    return added


def _nested(summaries: Sequence[Mapping[str, Any]], key: str) -> dict[str, dict[str, int]]:
    outer = dict.fromkeys(name for summary in summaries for name in summary[key])
    return {name: _added(summary[key].get(name, {}) for summary in summaries) for name in outer}
