"""One table from errors to HTTP statuses, and the RFC 9457 problem that each becomes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from data.errors import TextError
from model.errors import BundleError, EngineError
from serving import errors

MEDIA_TYPE: Final = "application/problem+json"

TABLE: Final[Mapping[type[Exception], tuple[int, str]]] = {
    errors.MalformedJson: (400, "The body is not JSON"),
    errors.KeyRefused: (401, "A valid API key is needed"),
    errors.AdminOnly: (403, "An admin key is needed"),
    errors.SlowBody: (408, "The body did not arrive in time"),
    BundleError: (409, "The bundle was refused"),
    errors.BodyTooLarge: (413, "The body is too large"),
    errors.NotJson: (415, "The body is not declared as JSON"),
    errors.InvalidRequest: (422, "The request is not understood"),
    errors.TooManyItems: (422, "Too many items in one request"),
    TextError: (422, "The text cannot be classified"),
    errors.RateLimited: (429, "Too many requests with this key"),
    errors.Overloaded: (429, "The service is busy"),
    EngineError: (500, "The engine failed"),
    errors.Unavailable: (503, "The service cannot answer now"),
    errors.DeadlineExceeded: (504, "The answer would come too late"),
}

_INTERNAL: Final = (500, "Something went wrong inside the service")
_ENGINE_DETAIL: Final = "the engine could not classify this text; the service's log says why under this request id"
_BY_STATUS: Final = {404: "not_found", 405: "method_not_allowed"}

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "description": "An error, by RFC 9457. 错误说明（RFC 9457）。",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "description": "a name for the kind of problem: urn:fankui:problem:<code>"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "stable short name, for programs. 稳定的错误代码。"},
        "detail": {"type": "string", "description": "what is wrong and what to do"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "description": "each wrong field of the body. 有误的字段。",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {"pointer": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def status_of(error: Exception | type[Exception]) -> tuple[int, str]:
    """HTTP status and title of an error; 500 for one that is not in the table."""
    kind = error if isinstance(error, type) else type(error)
    return next((TABLE[base] for base in kind.__mro__ if base in TABLE), _INTERNAL)


def code_and_detail(error: Exception) -> tuple[str, str]:
    """What a client may know of an error: its code, and a message with nothing in it that was not meant for them."""
    if isinstance(error, EngineError):
        return error.code, _ENGINE_DETAIL
    code = getattr(error, "code", None)
    if isinstance(code, str):
        return code, str(error)
    return "internal_error", "something went wrong inside the service; its log says what, under this request id"


def problem(error: Exception, request_id: str) -> Response:
    """The answer that an error becomes."""
    status, title = status_of(error)
    code, detail = code_and_detail(error)
    extra: dict[str, Any] = {}
    if isinstance(error, errors.InvalidRequest):
        extra["errors"] = [{"pointer": pointer, "detail": text} for pointer, text in error.fields]
    headers = {}
    if isinstance(error, errors.RefusedRequest) and error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, errors.BodyTooLarge | errors.SlowBody):
        headers["Connection"] = "close"  # what is left of the body is not read
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(status, title, code, detail, request_id, extra, headers)


def _response(
    status: int, title: str, code: str, detail: str, request_id: str, extra: dict[str, Any], headers: Mapping[str, str]
) -> Response:
    body = {"type": f"urn:fankui:problem:{code}", "title": title, "status": status, "code": code, "detail": detail}
    body |= {"request_id": request_id, **extra}
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, status, dict(headers), MEDIA_TYPE)


def documented(*kinds: type[Exception]) -> dict[int | str, dict[str, Any]]:
    """The ``responses`` of a FastAPI route that may raise these errors."""
    titles: dict[int, list[str]] = {}
    for kind in kinds:
        status, title = status_of(kind)
        titles.setdefault(status, []).append(title)
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": "; ".join(names), "content": content} for status, names in sorted(titles.items())}


async def _answer(request: Request, error: Exception) -> Response:
    request.state.outcome = code_and_detail(error)[0]
    return problem(error, request.state.request_id)


async def _answer_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):  # pragma: no cover - Starlette calls it with nothing else
        raise error
    code = _BY_STATUS.get(error.status_code, "refused")
    request.state.outcome = code
    detail = f"{request.method} is not answered there; the API is described at /docs"
    return _response(
        error.status_code, str(error.detail), code, detail, request.state.request_id, {}, error.headers or {}
    )


def install(app: FastAPI) -> None:
    """Make an app answer every error of the table, and unknown paths and methods, with a problem."""
    for kind in (errors.RefusedRequest, TextError, EngineError, BundleError):
        app.add_exception_handler(kind, _answer)
    app.add_exception_handler(HTTPException, _answer_http)
