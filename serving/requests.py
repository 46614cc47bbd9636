"""The shapes of requests, and reading them: what is wrong is named by its place, never by its value."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, WithJsonSchema

from data.text import MAX_CHARACTERS
from serving.errors import InvalidRequest, MalformedJson

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


ID_SCHEMA: Final = {
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

    id: Annotated[str | int | None, PlainValidator(_identifier), WithJsonSchema(ID_SCHEMA)] = None
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
