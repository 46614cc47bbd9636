"""An evaluation as one HTML page that needs nothing else: no script, no font, no picture from anywhere.

Feedback is what strangers wrote, so every text goes through Jinja's escaping, and the page's own policy forbids scripts
and anything from outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup, escape

from data.taxonomy import Taxonomy
from training.report_charts import bar, differences, reliability

SMALL_MATRIX: Final = 12
"""A head with more labels is shown by its commonest confusions instead of a matrix."""

_COMMONEST: Final = 20
_FIGURES: Final = {"macro_f1": "macro-F1", "quadratic_kappa": "weighted kappa"}
_RIVALS: Final = {"against": "the other bundle", "linear": "the linear model"}


@lru_cache(maxsize=1)
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["label"] = label_text
    environment.filters["breakable"] = breakable
    environment.filters["rival"] = lambda name: _RIVALS.get(name, name)
    environment.globals.update(
        bar=bar,
        differences=differences,
        reliability=reliability,
        heat=_heat,
        commonest=commonest,
        figure_names=_FIGURES,
        small_matrix=SMALL_MATRIX,
    )
    return environment.from_string(files("training").joinpath("templates/report.html").read_text("utf-8"))


def label_text(value: Any) -> str:
    """A label value as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) or "(none)" if isinstance(value, list | tuple) else str(value)


def breakable(name: str) -> Markup:
    """A label's name, escaped, that a narrow column may break after an underscore or a dot."""
    return Markup(re.sub(r"([_.])", r"\1<wbr>", str(escape(name))))  # noqa: S704 escaped first


def _heat(count: int, row: list[int]) -> float:
    return round(count / max(sum(row), 1), 3)


def commonest(confusion: Mapping[str, Any]) -> list[tuple[str, str, int]]:
    """The commonest pairs of a true label and what was said in its place, with their counts."""
    names, counts = confusion["names"], confusion["counts"]
    pairs = [(true, said, counts[i][j]) for i, true in enumerate(names) for j, said in enumerate(names) if i != j]
    return sorted((pair for pair in pairs if pair[2]), key=lambda pair: -pair[2])[:_COMMONEST]


def _titles(taxonomy: Taxonomy) -> dict[str, dict[str, str]]:
    return {head.name: {label.name: label.zh for label in head.labels} for head in taxonomy.heads}


def render(evaluation: Mapping[str, Any], taxonomy: Taxonomy) -> str:
    """The page.

    Args:
        evaluation: as `training.evaluate_command` writes it to JSON.
        taxonomy: of the judged bundle, for Chinese titles.

    Returns:
        HTML, self-contained.
    """
    return _template().render(
        evaluation=evaluation,
        heads={head.name: head for head in taxonomy.heads},
        zh={head.name: head.zh for head in taxonomy.heads},
        titles=_titles(taxonomy),
    )
