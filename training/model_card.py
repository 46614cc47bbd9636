"""The model card of a bundle, filled from its figures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.taxonomy import Taxonomy


def model_card(taxonomy: Taxonomy, figures: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    """Markdown with the metadata block that Hugging Face reads.

    Args:
        taxonomy: the heads.
        figures: reports of `training.evaluate.judge` by test set.
        provenance: as in the bundle.
    """
    lines = [
        "---", "language: zh", "license: apache-2.0", "pipeline_tag: text-classification", "library_name: transformers",
        "---", "", f"# {taxonomy.name} {taxonomy.version}", "",
        "Chinese feedback classifier trained with fankui. One logit a label of every head; `bundle.json` says how they "
        "become calibrated decisions.", "", "## Heads", "",
    ]  # fmt: skip
    for head in taxonomy.heads:
        lines.append(f"- **{head.name}** ({head.kind}): {', '.join(head.names)}")
    lines += ["", "## Figures", ""]
    for name, report in figures.items():
        lines += [f"### {name} (n = {report['n']}, review rate {report['review_rate']:.2f})", ""]
        lines += ["| head | macro-F1 | quadratic kappa | calibration error |", "|---|---|---|---|"]
        for head_name, entry in report["heads"].items():
            kappa = f"{entry['quadratic_kappa']:.3f}" if "quadratic_kappa" in entry else ""
            lines.append(
                f"| {head_name} | {entry['macro_f1']:.3f} | {kappa} | {entry.get('calibration_error', 0.0):.3f} |"
            )
        lines.append("")
    rows = provenance["rows"]
    lines += [
        "## Training", "",
        f"Base: {provenance['base']}. Rows: {rows['train']} to learn from, {rows['validation']} to choose the epoch, "
        f"{rows['calibration']} to calibrate. Time: {provenance['seconds']:.0f} s.", "",
    ]  # fmt: skip
    return "\n".join(lines)
