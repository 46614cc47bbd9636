from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data.errors import LabelError, TaxonomyError
from data.feedback import checked_label, labels_of
from data.taxonomy import Taxonomy


@pytest.fixture
def taxonomy() -> Taxonomy:
    return Taxonomy.default()


def test_default_taxonomy_is_the_wallets(taxonomy: Taxonomy) -> None:
    assert [head.name for head in taxonomy.heads] == [
        "topics", "issues", "urgency", "handling", "sentiment", "churn_risk",
    ]  # fmt: skip
    assert taxonomy.head("topics").names == ("security", "payment_failure", "ui", "feature_request")
    assert taxonomy.head("urgency").names == ("low", "normal", "high", "critical")
    assert 35 <= len(taxonomy.head("issues").names) <= 50
    assert all(label.name.startswith(f"{label.parent}.") for label in taxonomy.head("issues").labels)
    assert all(label.zh and label.en and label.definition for head in taxonomy.heads for label in head.labels)


def test_slices_cover_the_logits_once(taxonomy: Taxonomy) -> None:
    covered = [number for where in taxonomy.slices.values() for number in range(where.start, where.stop)]
    assert covered == list(range(len(taxonomy.logit_names)))


def test_dictionary_form_round_trips(taxonomy: Taxonomy) -> None:
    assert Taxonomy.from_dict(taxonomy.to_dict()) == taxonomy


def _broken(change: str) -> dict[str, Any]:
    values = Taxonomy.default().to_dict()
    match change:
        case "schema":
            values["schema_version"] = 9
        case "kind":
            values["heads"][0]["kind"] = "fuzzy"
        case "twin":
            values["heads"][2]["labels"][1]["name"] = "low"
        case "escalate":
            values["heads"][2]["escalate"] = ["burning"]
        case "parent":
            values["heads"][1]["labels"][0]["parent"] = "weather"
        case "one":
            values["heads"][3]["labels"] = values["heads"][3]["labels"][:1]
    return values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("schema", "schema_version 9"),
        ("kind", "'fuzzy'"),
        ("twin", "share a name"),
        ("escalate", "'burning'"),
        ("parent", "'weather'"),
        ("one", "cannot have 1 labels"),
    ],
)
def test_broken_taxonomies_are_refused_by_name(change: str, message: str) -> None:
    with pytest.raises(TaxonomyError, match=message):
        Taxonomy.from_dict(_broken(change))


def test_missing_and_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(TaxonomyError, match="no taxonomy file"):
        Taxonomy.from_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("heads = [", "utf-8")
    with pytest.raises(TaxonomyError, match="not TOML"):
        Taxonomy.from_toml(tmp_path / "bad.toml")


def test_labels_are_held_against_their_head(taxonomy: Taxonomy) -> None:
    assert checked_label(taxonomy.head("topics"), ["ui"]) == ["ui"]
    assert labels_of({"urgency": "low"}, taxonomy)["topics"] is None
    for head, value, named in (
        ("topics", ["weather"], "weather"),
        ("urgency", "urgent", "urgent"),
        ("churn_risk", "yes", "yes"),
    ):
        with pytest.raises(LabelError, match=named):
            checked_label(taxonomy.head(head), value)
