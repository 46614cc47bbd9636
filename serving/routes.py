"""The endpoints: what is asked, answered from the service."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, cast

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from prometheus_client import CONTENT_TYPE_LATEST

from data.errors import TextError
from data.privacy import mask
from model.decision import Prediction
from model.errors import BundleError, EngineError
from serving import errors
from serving.door import Door
from serving.problems import code_and_detail, documented
from serving.requests import ClassifyText, PredictRequest, classify_request, validated
from serving.runner import Outcome
from serving.schema import ranked_labels, result_of
from serving.service import Service


class PlainRoute(APIRoute):
    """A route that FastAPI describes but does not prepare: our endpoints take the request as it comes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The endpoint itself."""
        return cast("Callable[[Request], Coroutine[Any, Any, Response]]", self.endpoint)


router = APIRouter(route_class=PlainRoute)

_KEY: Final = (errors.KeyRefused, errors.RateLimited)
_WORK: Final = (
    *_KEY, errors.MalformedJson, errors.SlowBody, errors.BodyTooLarge, errors.NotJson, errors.InvalidRequest,
    errors.TooManyItems, TextError, errors.Overloaded, EngineError, errors.Unavailable, errors.DeadlineExceeded,
)  # fmt: skip


def _json(value: object, status: int = 200) -> Response:
    content = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(content, status, media_type="application/json")


def _of(request: Request) -> tuple[Service, Door]:
    state = request.app.state
    return cast(Service, state.service), cast(Door, state.door)


def _answered(name: str) -> dict[int | str, dict[str, Any]]:
    """The good answer of a route, whose schema is filled in by `serving.openapi`."""
    schema = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    return {200: {"description": "Answered. 已分类。", "content": {"application/json": schema}}}


@router.post(
    "/v1/classify",
    summary="Classify feedback 反馈分类",
    responses={**_answered("ClassifyResponse"), **documented(*_WORK)},
)
async def classify(request: Request) -> Response:
    """Classify one text or several; results come in the order asked.

    A text of several that cannot be classified has an `error` in its place; a lone one gives 422.

    对一条或多条反馈分类，结果顺序与请求一致。多条中无法分类的一条在原位返回 `error`，单条则返回 422。
    """
    service, door = _of(request)
    asked = await door.enter(request)
    wanted = classify_request(asked.body)
    lone = isinstance(wanted, ClassifyText)
    items = (
        [(None, wanted.text)] if isinstance(wanted, ClassifyText) else [(item.id, item.text) for item in wanted.items]
    )
    _count(request, service, len(items))
    texts = [text for _, text in items]
    classifier, outcomes = await service.classify(texts, request.receive, asked.timeout_s, asked.deadline)
    if lone:
        _raise_failures(outcomes)
    results = [_result(outcome, identifier) for outcome, (identifier, _) in zip(outcomes, items, strict=True)]
    if wanted.mask:
        # Masking long texts takes milliseconds; the loop has others to answer meanwhile.
        masked = await asyncio.to_thread(lambda: [mask(text or "") for text in texts])
        for result, text in zip(results, masked, strict=True):
            if "error" not in result:
                result["masked_text"] = text
    return _json({"model_version": classifier.model_version, "results": results})


@router.post(
    "/predict", summary="Hugging Face form 兼容接口", responses={**_answered("PredictResponse"), **documented(*_WORK)}
)
async def predict(request: Request) -> Response:
    """All labels with calibrated scores, in the form of Hugging Face's text-classification endpoints.

    以 Hugging Face 文本分类接口的形式返回全部标签及校准后的分数。
    """
    service, door = _of(request)
    asked = await door.enter(request)
    wanted = validated(PredictRequest, asked.body)
    texts = [wanted.inputs] if isinstance(wanted.inputs, str) else wanted.inputs
    _count(request, service, len(texts))
    _, outcomes = await service.classify(texts, request.receive, asked.timeout_s, asked.deadline)
    top_k = wanted.parameters.top_k if wanted.parameters else None
    return _json([ranked_labels(prediction, top_k) for prediction in _raise_failures(outcomes)])


@router.get(
    "/v1/model", summary="The loaded bundle 当前模型", responses={**_answered("ModelResponse"), **documented(*_KEY)}
)
async def model(request: Request) -> Response:
    """Version, taxonomy, measured figures and provenance of the bundle that answers.

    当前模型的版本、标签体系、指标与来源。
    """
    service, door = _of(request)
    door.identify(request)
    bundle = service.classifier.bundle
    answer: dict[str, Any] = {"model_version": bundle.model_version, "taxonomy": bundle.taxonomy.to_dict()}
    answer |= {"max_tokens": bundle.max_tokens, "max_items": service.settings.max_items}
    return _json(answer | {"metrics": dict(bundle.metrics), "provenance": dict(bundle.provenance)})


@router.post(
    "/v1/model/reload",
    summary="Open the bundle again 重新加载模型",
    responses={**_answered("ReloadResponse"), **documented(*_KEY, errors.AdminOnly, BundleError)},
)
async def reload(request: Request) -> Response:
    """Open the bundle's folder again, with an admin key; a broken bundle is refused and the old one goes on answering.

    使用管理员密钥重新加载模型；损坏的模型会被拒绝，原模型继续服务。
    """
    service, door = _of(request)
    door.admit_admin(request)
    previous, current = await service.reload()
    return _json({"model_version": current, "previous_version": previous, "changed": current != previous})


@router.get("/healthz", summary="The process answers 存活检查", responses=_answered("Health"))
async def healthz(_: Request) -> Response:
    """Whether the process answers at all.

    进程是否存活。
    """
    return _json({"status": "ok"})


@router.get(
    "/readyz",
    summary="Ready for requests 就绪检查",
    responses={**_answered("Health"), **documented(errors.Unavailable)},
)
async def readyz(request: Request) -> Response:
    """Whether requests should come here: the model has answered, its threads live, the service is not stopping.

    是否可以接收请求。
    """
    service, _ = _of(request)
    if (reason := service.not_ready) is not None:
        raise errors.Unavailable(reason)
    return _json({"status": "ready", "model_version": service.classifier.model_version})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """What is counted, for Prometheus."""
    service, _ = _of(request)
    return Response(service.metrics.page(), media_type=CONTENT_TYPE_LATEST)


def _count(request: Request, service: Service, texts: int) -> None:
    if texts > service.settings.max_items:
        raise errors.TooManyItems(texts, service.settings.max_items)
    request.state.texts = texts


def _raise_failures(outcomes: Sequence[Outcome]) -> list[Prediction]:
    """The predictions, where nothing failed; else the first failure is the request's."""
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Prediction)]


def _result(outcome: Outcome, identifier: str | int | None) -> dict[str, Any]:
    if isinstance(outcome, Prediction):
        return result_of(outcome, identifier)
    code, message = code_and_detail(outcome)
    return {"id": identifier, "error": {"code": code, "message": message}}
