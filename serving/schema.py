"""The shapes of requests and answers; those of answers are made from the taxonomy of the loaded bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from data.taxonomy import Head, Taxonomy
from data.text import MAX_CHARACTERS
from model.decision import Prediction
from serving.errors import InvalidRequest, MalformedJson

EXAMPLE_TEXT: Final = "昨天转账一直失败，钱扣了对方没收到，订单号20240315123456"
MAX_ID_CHARACTERS: Final = 256
_MAX_FIELDS: Final = 20  # of a body with thousands of faults the first ones are enough

_FAULTS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "string_type": "must be a string",
    "bool_type": "must be true or false",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "int_type": "must be an integer",
    "model_type": "must be an object",
    "none_required": "must be null or left out",
}


def _identifier(value: object) -> str | int | None:
    if value is None or (isinstance(value, str) and len(value) <= MAX_ID_CHARACTERS):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"must be a string of at most {MAX_ID_CHARACTERS} characters, an integer or null")


def _inputs(value: object) -> str | list[str]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(text, str) for text in value):
        return value
    raise ValueError("must be a string or a non-empty list of strings")


_REF: Final = "#/components/schemas/{model}"
_STRING: Final = {"type": "string"}
_SCORE: Final = {"type": "number", "minimum": 0, "maximum": 1, "description": "calibrated probability. 校准后的概率。"}
_ID_SCHEMA: Final = {
    "anyOf": [{"type": "string", "maxLength": MAX_ID_CHARACTERS}, {"type": "integer"}, {"type": "null"}],
    "description": "echoed in the result. 原样返回。",
}
_TEXT_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_CHARACTERS,
    "pattern": r"[^\s\u0000\ufeff\u200b]",
}
_INPUTS_SCHEMA: Final = {
    "anyOf": [_TEXT_SCHEMA, {"type": "array", "items": _TEXT_SCHEMA, "minItems": 1}],
    "description": "one text or several. 一条或多条文本。",
}


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Item(_Strict):
    """One text among several.

    多条中的一条。
    """

    id: Annotated[str | int | None, PlainValidator(_identifier), WithJsonSchema(_ID_SCHEMA)] = None
    text: str | None = Field(description="the feedback; null counts as blank. 反馈原文；null 视为空白。")


class ClassifyText(_Strict):
    """A lone text.

    单条文本。
    """

    text: Annotated[str, WithJsonSchema(_TEXT_SCHEMA)]
    mask: bool = Field(default=False, description="also return the text with personal data masked. 同时返回脱敏文本。")


class ClassifyItems(_Strict):
    """Several texts; the results come in the same order.

    多条文本，结果顺序与请求一致。
    """

    items: list[Item]
    mask: bool = Field(default=False, description="also return the texts with personal data masked. 同时返回脱敏文本。")


class PredictParameters(_Strict):
    """What Hugging Face clients may add.

    可选参数。
    """

    top_k: int | None = Field(default=None, ge=1, description="best labels only. 只返回前几个标签。")
    function_to_apply: None = Field(default=None, description="scores are calibrated; nothing else can be applied")


class PredictRequest(_Strict):
    """A request as Hugging Face clients send it.

    与 Hugging Face 客户端兼容的请求。
    """

    inputs: Annotated[str | list[str], PlainValidator(_inputs), WithJsonSchema(_INPUTS_SCHEMA)]
    parameters: PredictParameters | None = None
    options: dict[str, Any] | None = Field(default=None, description="accepted and not used. 接受但不使用。")


Body = TypeVar("Body", bound=BaseModel)


def parse_json(body: bytes) -> Any:
    """The value of a JSON body.

    Python's parser is used because it lets lone surrogates pass, which clients that cut a text inside an emoji
    send; the normalisation replaces them.

    Raises:
        MalformedJson: the body is not JSON in UTF-8.
    """
    try:
        return json.loads(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedJson(f"the body is not UTF-8 at byte {error.start}; send JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise MalformedJson(f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    except (ValueError, RecursionError):
        raise MalformedJson("the body is nested too deeply or holds a number that is too long") from None


def validated(kind: type[Body], value: object) -> Body:
    """A request of the given kind.

    Raises:
        InvalidRequest: fields are missing, unknown or of the wrong type; it names them, never their values.
    """
    if not isinstance(value, dict):
        raise InvalidRequest([("#", "must be an object")])
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_context=False, include_input=False)[:_MAX_FIELDS]
        raise InvalidRequest([(_pointer(fault["loc"]), _said(fault)) for fault in faults]) from None


def classify_request(value: object) -> ClassifyText | ClassifyItems:
    """The request of ``/v1/classify``, in either form.

    Raises:
        InvalidRequest: it is neither or both.
    """
    if isinstance(value, dict) and "items" in value:
        if "text" in value:
            raise InvalidRequest([("#", "has both text and items; send one of them")])
        return validated(ClassifyItems, value)
    if isinstance(value, dict) and "text" not in value:
        fields = [(_pointer((name,)), "is not known here") for name in value if name != "mask"][:_MAX_FIELDS]
        raise InvalidRequest([("#", "has neither text nor items"), *fields])
    return validated(ClassifyText, value)


def _pointer(location: tuple[int | str, ...]) -> str:
    return "#/" + "/".join(str(part)[:64].replace("~", "~0").replace("/", "~1") for part in location)


def _said(fault: Mapping[str, Any]) -> str:
    return _FAULTS.get(fault["type"]) or str(fault["msg"]).removeprefix("Value error, ")


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
    properties: dict[str, Any] = {"id": _ID_SCHEMA}
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
        "FailedItem": _object(id=_ID_SCHEMA, error=_object(code=_STRING, message=_STRING)),
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
