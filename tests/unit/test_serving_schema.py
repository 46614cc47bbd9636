"""The API's shapes follow the taxonomy; every error has its place in the table; logs hold no words of errors."""

from __future__ import annotations

import json
import logging
from typing import Any

import jsonschema
import pytest

from data.errors import BlankText, TextTooLong
from data.taxonomy import LabelValue, Taxonomy
from model.decision import Prediction
from model.errors import BundleTampered, EngineError
from serving import errors
from serving.logs import JsonFormatter, TextFormatter
from serving.problems import TABLE, code_and_detail, problem, status_of
from serving.requests import parse_json
from serving.schema import component_schemas, ranked_labels, result_of, result_schema

OTHER = Taxonomy.from_dict(
    {
        "schema_version": 1,
        "name": "parcels",
        "version": "1",
        "heads": [
            {"name": "matter", "kind": "multi_label", "labels": [{"name": "late"}, {"name": "lost"}]},
            {
                "name": "part",
                "kind": "multi_label",
                "parent": "matter",
                "labels": [{"name": "late.van", "parent": "late"}],
            },
            {"name": "haste", "kind": "ordinal", "labels": [{"name": "none"}, {"name": "some"}]},
            {"name": "refund", "kind": "binary", "labels": [{"name": "refund"}]},
        ],
    }
)


def prediction(**labels: Any) -> Prediction:
    said: dict[str, LabelValue] = {"matter": ["late"], "part": [], "haste": "some", "refund": True, **labels}
    scores: dict[str, dict[str, float] | float] = {"matter": {"late": 0.9, "lost": 0.1}, "haste": 0.8, "refund": 0.7}
    probabilities = {
        "matter/late": 0.9,
        "matter/lost": 0.1,
        "part/late.van": 0.2,
        "haste/none": 0.2,
        "haste/some": 0.8,
        "refund/refund": 0.7,
    }
    return Prediction(said, scores, probabilities, False, None, "v")


def test_the_result_schema_is_made_from_any_taxonomy() -> None:
    schema = result_schema(OTHER)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert {"matter", "matter_scores", "part", "haste", "haste_score", "refund", "refund_score"} <= schema[
        "properties"
    ].keys()
    jsonschema.validate(result_of(prediction(), 5), schema)


@pytest.mark.parametrize("wrong", [{"matter": ["early"]}, {"haste": "much"}, {"refund": "yes"}, {"part": "late.van"}])
def test_the_result_schema_refuses_what_is_not_of_the_taxonomy(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(result_of(prediction(**wrong), None), result_schema(OTHER))


def test_components_are_sound_schemas_and_carry_the_item_limit() -> None:
    schemas = component_schemas(OTHER, 7)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert schemas["ClassifyItems"]["properties"]["items"]["maxItems"] == 7
    assert schemas["PredictResponse"]["items"]["items"]["properties"]["label"]["enum"] == list(OTHER.logit_names)


def test_ranked_labels_are_best_first() -> None:
    ranked = ranked_labels(prediction(), None)
    assert len(ranked) == 6
    assert [label["label"] for label in ranked[:3]] == ["matter/late", "haste/some", "refund/refund"]
    assert len(ranked_labels(prediction(), 2)) == 2


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 200_000, b'{"id": ' + b"9" * 5000 + b"}"])
def test_what_is_not_json_is_refused(body: bytes) -> None:
    with pytest.raises(errors.MalformedJson):
        parse_json(body)


def _kinds(base: type[Exception]) -> set[type[Exception]]:
    return {base} | {deeper for kind in base.__subclasses__() for deeper in _kinds(kind)}


def test_every_refusal_has_its_own_line_in_the_table() -> None:
    refusals = _kinds(errors.RefusedRequest) - {errors.RefusedRequest}
    assert refusals == {kind for kind in TABLE if issubclass(kind, errors.RefusedRequest)}
    codes = [kind.code for kind in refusals]  # type: ignore[attr-defined]
    assert len(set(codes)) == len(codes)


def test_errors_of_other_rooms_are_found_through_their_bases() -> None:
    assert status_of(BlankText())[0] == 422
    assert status_of(TextTooLong(9, 8))[0] == 422
    assert status_of(BundleTampered("x"))[0] == 409
    assert status_of(ValueError)[0] == 500


@pytest.mark.parametrize("error", [EngineError("words of a customer"), ValueError("words of a customer")])
def test_words_of_inner_errors_are_not_for_clients(error: Exception) -> None:
    assert "customer" not in str(code_and_detail(error))
    answer = problem(error, "r1")
    assert answer.status_code == 500
    assert b"customer" not in bytes(answer.body)
    assert json.loads(bytes(answer.body))["request_id"] == "r1"


def test_problems_say_when_to_try_again() -> None:
    assert problem(errors.Overloaded("many", 7), "r").headers["retry-after"] == "7"
    assert problem(errors.Unavailable("stopping"), "r").headers["retry-after"] == "1"
    assert problem(errors.KeyRefused("no"), "r").headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_log_lines_have_fields_and_an_exceptions_place_but_not_its_words(formatter: logging.Formatter) -> None:
    def fail() -> None:
        raise ValueError("words of a customer")

    try:
        fail()
    except ValueError as error:
        record = logging.makeLogRecord(
            {"msg": "failed %s", "args": ("once",), "levelname": "ERROR", "request_id": "r1"}
        )
        record.exc_info = (ValueError, error, error.__traceback__)
    line = formatter.format(record)
    assert "\n" not in line
    assert "customer" not in line
    for part in ("failed once", "r1", "ValueError at test_serving_schema.py"):
        assert part in line
    if isinstance(formatter, JsonFormatter):
        assert json.loads(line)["request_id"] == "r1"
