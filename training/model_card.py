"""The model card of a bundle, filled from its figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from data.taxonomy import Head, Taxonomy

_MOST_LABELS_LISTED: Final = 12
_FIGURE_NAMES: Final = {"macro_f1": "macro-F1", "quadratic_kappa": "quadratic-weighted kappa"}


def model_card(taxonomy: Taxonomy, figures: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """Markdown with the metadata block that Hugging Face reads.

    Args:
        taxonomy: the heads.
        figures: reports of `training.evaluate.judge` by test set; may be empty.
        provenance: as in the bundle.
    """
    wallet = taxonomy.name == Taxonomy.default().name
    lines = ["---", *_metadata(taxonomy, figures, wallet), "---", "", f"# {taxonomy.name} {taxonomy.version}"]
    lines += [
        "",
        *_introduction(wallet),
        "",
        "## What it answers",
        "",
        *_heads(taxonomy),
        "",
        "## Use",
        "",
        *_use(wallet),
    ]
    lines += ["", "## Figures", "", *_figures(taxonomy, figures), *_training(provenance), *_limits(taxonomy, wallet)]
    return "\n".join(lines) + "\n"


def _metadata(taxonomy: Taxonomy, figures: Mapping[str, Any], wallet: bool) -> list[str]:
    """YAML; the index of results is written as JSON, which YAML reads."""
    values: dict[str, Any] = {"pipeline_tag": "text-classification", "library_name": "transformers", "tags": ["fankui"]}
    if wallet:  # what others train on their own texts is theirs to license and to name
        values = {"language": "zh", "license": "apache-2.0", **values}
    results = []
    for name, report in figures.items():
        measured = [
            {"type": figure, "name": f"{head} {shown}", "value": round(entry[figure], 4)}
            for head, entry in report["heads"].items()
            for figure, shown in _FIGURE_NAMES.items()
            if figure in entry
        ]
        task = {"type": "text-classification"}
        results.append({"task": task, "dataset": {"type": "private", "name": name}, "metrics": measured})
    if results:
        values["model-index"] = [{"name": taxonomy.name, "results": results}]
    return [f"{name}: {value if isinstance(value, str) else _json(value)}" for name, value in values.items()]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _introduction(wallet: bool) -> list[str]:
    what = "Sorts Chinese feedback on a digital wallet." if wallet else "A text classifier trained with fankui."
    return [
        f"{what} One logit a label of every head, all heads side by side; `bundle.json` says how logits become "
        "calibrated probabilities, labels and the wish that a person look."
    ]


def _heads(taxonomy: Taxonomy) -> list[str]:
    lines = []
    for head in taxonomy.heads:
        title = f" {head.zh}" if head.zh else ""
        names = ", ".join(_named(head, number) for number in range(min(len(head.labels), _MOST_LABELS_LISTED)))
        more = f" and {len(head.labels) - _MOST_LABELS_LISTED} more" if len(head.labels) > _MOST_LABELS_LISTED else ""
        empty = f"; none of them: `{head.empty_set}`" if head.empty_set else ""
        lines.append(f"- **{head.name}**{title} ({head.kind.replace('_', ' ')}): {names}{more}{empty}")
    return lines


def _named(head: Head, number: int) -> str:
    label = head.labels[number]
    return f"`{label.name}`" + (f" {label.zh}" if label.zh and label.zh != label.name else "")


def _use(wallet: bool) -> list[str]:
    text = "转账一直失败" if wallet else "…"
    return [
        "```python",
        "from fankui import Classifier",
        "",
        'classifier = Classifier.load("this-folder")',
        f'print(classifier.predict(["{text}"])[0].to_dict())',
        "```",
        "",
        "A stock `transformers` pipeline loads the folder where it holds `model.safetensors`, and gives the raw logits "
        '(`top_k=None, function_to_apply="none"`); calibration, thresholds and review are in `bundle.json` and in '
        "fankui. Texts should go through `data.text.normalise` first.",
    ]


def _with_interval(entry: Mapping[str, Any], name: str) -> str:
    if name not in entry:
        return ""
    interval = entry.get(f"{name}_interval")
    return f"{entry[name]:.3f}" + (f" ({interval[0]:.3f}–{interval[1]:.3f})" if interval else "")


def _figures(taxonomy: Taxonomy, figures: Mapping[str, Any]) -> list[str]:
    if not figures:
        return ["Nothing was measured: no test set was given.", ""]
    lines = ["Measured as served (int8). In brackets 95 % bootstrap intervals.", ""]
    for name, report in figures.items():
        lines += [f"### {name} (n = {report['n']:,}, sent to review {report['review_rate']:.1%})", ""]
        lines += ["| head | macro-F1 | quadratic-weighted kappa | calibration error |", "|---|---|---|---|"]
        for head, entry in report["heads"].items():
            error = f"{entry['calibration_error']:.3f}" if "calibration_error" in entry else ""
            cells = (_with_interval(entry, "macro_f1"), _with_interval(entry, "quadratic_kappa"), error)
            lines.append(f"| {head} | " + " | ".join(cells) + " |")
        lines.append("")
        for head, entry in report["heads"].items():
            if entry.get("escalation", {}).get("support"):
                lines += [_escalation(" or ".join(taxonomy.head(head).escalate), entry["escalation"]), ""]
    return lines


def _escalation(names: str, entry: Mapping[str, Any]) -> str:
    return (
        f"Of {entry['support']:,} texts that are {names}, {entry['recall']:.1%} were called so and "
        f"{entry['recall_with_review']:.1%} were called so or sent to review; {entry['predicted_share']:.1%} of all "
        f"texts were called so, {entry['true_share']:.1%} are."
    )


def _training(provenance: Mapping[str, Any]) -> list[str]:
    rows = provenance["rows"]
    return [
        "## Training",
        "",
        f"Base: {provenance['base']}. Rows: {rows['train']:,} to learn from, {rows['validation']:,} to choose the epoch"
        f", {rows['calibration']:,} to calibrate. Time: {provenance['seconds']:.0f} s. Ids of the rows stand in "
        "`training_rows.txt`, configuration, seed, data hash and library versions in `bundle.json`.",
        "",
    ]


def _limits(taxonomy: Taxonomy, wallet: bool) -> list[str]:
    lines = ["## Limits", ""]
    if wallet:
        lines += [
            "- Made to route feedback to people, not to decide about them: no one should lose access, money or an "
            "answer because of a label alone.",
            "- Learned from feedback on digital wallets in mainland Chinese, with some Cantonese, dialect and pinyin; "
            "on other products and languages its scores mean little.",
        ]
    if any(head.escalate for head in taxonomy.heads):
        lines.append("- Urgent texts are missed (see the figures): a text that is not called urgent still gets read.")
    lines.append(
        "- Scores are calibrated on the shares of the calibration rows; where labels are much rarer or commoner, "
        "calibrate on rows of your own."
    )
    return lines
