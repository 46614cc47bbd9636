"""The shapes of answers, made from the taxonomy of the loaded bundle, and the answers themselves."""

from __future__ import annotations

from typing import Any, Final

from data.taxonomy import Head, Taxonomy
from model.decision import Prediction
from serving.requests import ID_SCHEMA, ClassifyItems, ClassifyText, PredictRequest

EXAMPLE_TEXT: Final = "昨天转账一直失败，钱扣了对方没收到，订单号20240315123456"
_REF: Final = "#/components/schemas/{model}"
_STRING: Final = {"type": "string"}
_SCORE: Final = {"type": "number", "minimum": 0, "maximum": 1, "description": "calibrated probability. 校准后的概率。"}


def _head_schemas(head: Head) -> dict[str, dict[str, Any]]:
    """The properties that one head gives a result."""
    about = " ".join(part for part in (f"{head.en}." if head.en else "", f"{head.zh}。" if head.zh else "") if part)
    meanings = "; ".join(f"{label.name}: {label.en} {label.zh}".strip() for label in head.labels)
    one = {"type": "string", "enum": list(head.names)}
    if head.kind == "multi_label":
        empty = f" The empty list is {head.empty_set}." if head.empty_set else ""
        value: dict[str, Any] = {
            "type": "array",
            "items": one,
            "uniqueItems": True,
            "description": f"{about}{empty} {meanings}",
        }
        if head.parent is not None:
            return {head.name: value}
        each = dict.fromkeys(head.names, _SCORE)
        scores = {"type": "object", "properties": each, "required": list(each), "additionalProperties": False}
        return {head.name: value, f"{head.name}_scores": scores}
    value = {"type": "boolean"} if head.kind == "binary" else one
    return {head.name: value | {"description": f"{about} {meanings}"}, f"{head.name}_score": _SCORE}


def result_schema(taxonomy: Taxonomy) -> dict[str, Any]:
    """JSON Schema of one classified text under a taxonomy."""
    properties: dict[str, Any] = {"id": ID_SCHEMA}
    for head in taxonomy.heads:
        properties |= _head_schemas(head)
    properties["needs_review"] = {"type": "boolean", "description": "whether a person should look. 是否需要人工复核。"}
    properties["review_reason"] = {"type": ["string", "null"]}
    required = list(properties)
    properties["masked_text"] = {"type": "string", "description": "with `mask` only. 仅当 mask 为 true。"}
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def component_schemas(taxonomy: Taxonomy, max_items: int) -> dict[str, Any]:
    """Schemas of the OpenAPI document that routes refer to by name."""
    many = ClassifyItems.model_json_schema(ref_template=_REF)
    item = many.pop("$defs")["Item"]
    many["properties"]["items"]["maxItems"] = max_items
    predict = PredictRequest.model_json_schema(ref_template=_REF)
    parameters = predict.pop("$defs")["PredictParameters"]
    predict["properties"]["inputs"]["anyOf"][1]["maxItems"] = max_items
    either = {"anyOf": [{"$ref": _REF.format(model="Result")}, {"$ref": _REF.format(model="FailedItem")}]}
    label = _object(label={"type": "string", "enum": list(taxonomy.logit_names)}, score=_SCORE)
    return {
        "Item": item,
        "ClassifyText": ClassifyText.model_json_schema(),
        "ClassifyItems": many,
        "PredictParameters": parameters,
        "PredictRequest": predict,
        "Result": result_schema(taxonomy),
        "FailedItem": _object(id=ID_SCHEMA, error=_object(code=_STRING, message=_STRING)),
        "ClassifyResponse": _object(model_version=_STRING, results={"type": "array", "items": either}),
        "PredictResponse": {"type": "array", "items": {"type": "array", "items": label}},
        "ModelResponse": _object(
            model_version=_STRING, taxonomy={"type": "object"}, max_tokens={"type": "integer"},
            max_items={"type": "integer"}, metrics={"type": "object"}, provenance={"type": "object"},
        ),
        "ReloadResponse": _object(model_version=_STRING, previous_version=_STRING, changed={"type": "boolean"}),
        "Health": _object(status=_STRING) | {"additionalProperties": True},
    }  # fmt: skip


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def result_of(prediction: Prediction, identifier: str | int | None) -> dict[str, Any]:
    """One entry of ``results``."""
    return {"id": identifier, **prediction.to_dict()}


def ranked_labels(prediction: Prediction, top_k: int | None) -> list[dict[str, Any]]:
    """All labels of all heads as ``head/label`` with their calibrated scores, best first."""
    ranked = sorted(prediction.probabilities.items(), key=lambda pair: -pair[1])[:top_k]
    return [{"label": label, "score": score} for label, score in ranked]
