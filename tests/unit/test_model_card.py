from __future__ import annotations

import json

from data.taxonomy import Head, Label, Taxonomy
from model.bundle import open_bundle
from training.model_card import model_card

PROVENANCE = {"base": "our-base", "rows": {"train": 12_945, "validation": 30, "calibration": 40}, "seconds": 61.4}


def test_a_card_is_filled_from_what_was_measured() -> None:
    level = Head("level", "ordinal", (Label("low", "低"), Label("top", "高")), escalate=("top",))
    taxonomy = Taxonomy("kitchen", "3", (level, Head("many", "multi_label", tuple(Label(f"m{n}") for n in range(20)))))
    escalation = {
        "recall": 0.5, "recall_with_review": 0.75, "predicted_share": 0.2, "true_share": 0.3, "support": 8,
    }  # fmt: skip
    entry = {
        "macro_f1": 0.81234, "macro_f1_interval": (0.7, 0.9), "quadratic_kappa": 0.6, "calibration_error": 0.031,
        "escalation": escalation,
    }  # fmt: skip
    figures = {"my: test": {"n": 1200, "review_rate": 0.125, "heads": {"level": entry}}}
    card = model_card(taxonomy, figures, PROVENANCE)
    assert "| level | 0.812 (0.700–0.900) | 0.600 | 0.031 |" in card
    assert "12,945 to learn from" in card and "our-base" in card and "sent to review 12.5%" in card
    assert "Of 8 texts that are top, 50.0% were called so and 75.0%" in card
    assert "`low` 低" in card and "and 8 more" in card
    head = card.split("---")[1]
    assert "license" not in head and "language" not in head  # theirs to name
    (index,) = [line.removeprefix("model-index: ") for line in head.splitlines() if line.startswith("model-index")]
    (result,) = json.loads(index)[0]["results"]
    assert result["dataset"]["name"] == "my: test"
    assert {"type": "macro_f1", "name": "level macro-F1", "value": 0.8123} in result["metrics"]
    assert "Nothing was measured" in model_card(taxonomy, {}, PROVENANCE)


def test_a_card_can_be_made_of_the_shipped_bundle() -> None:
    bundle = open_bundle()
    card = model_card(bundle.taxonomy, bundle.metrics, bundle.provenance)
    assert "license: apache-2.0" in card and "language: zh" in card and "critical" in card
    for report in bundle.metrics.values():
        assert f"| topics | {report['heads']['topics']['macro_f1']:.3f}" in card
