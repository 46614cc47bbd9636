"""The OpenAPI document: FastAPI's routes with the shapes of the loaded bundle's taxonomy and worked examples."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from serving.problems import SCHEMA as PROBLEM
from serving.schema import EXAMPLE_TEXT, component_schemas
from serving.service import Service

_ABOUT: Final = """Reads what users of a digital wallet write in Chinese: topic, urgency, handling and more.
Where API keys are configured, send `Authorization: Bearer KEY`. `X-Request-ID` is echoed, or made;
`X-Request-Timeout-Ms` shortens the time a request may take. Every error is an RFC 9457 problem.

读懂数字钱包用户的中文反馈：主题、紧急程度、处理方式等。如配置了密钥，请发送 `Authorization: Bearer KEY`。
`X-Request-ID` 会原样返回（未提供则自动生成）；`X-Request-Timeout-Ms` 可缩短等待时间。所有错误均为 RFC 9457 格式。"""

_CLASSIFY_EXAMPLES: Final = {
    "lone text": {"summary": "One text 单条文本", "value": {"text": EXAMPLE_TEXT}},
    "items": {
        "summary": "Several texts, the second blank 多条文本，第二条为空白",
        "value": {"items": [{"id": "T1", "text": EXAMPLE_TEXT}, {"id": "T2", "text": "  "}]},
    },
    "mask": {
        "summary": "Personal data masked in the answer 返回脱敏文本",
        "value": {"text": "我的手机号13800138000收不到验证码", "mask": True},
    },
}
_PREDICT_EXAMPLES: Final = {
    "top 3": {"summary": "Best labels 最可能的标签", "value": {"inputs": EXAMPLE_TEXT, "parameters": {"top_k": 3}}}
}


def document(app: FastAPI, service: Service) -> dict[str, Any]:
    """The OpenAPI document of an app.

    Args:
        app: the routes.
        service: its taxonomy gives the shape of results, its first answer the example.
    """
    made = get_openapi(title="fankui", version="1", description=_ABOUT, routes=app.routes)
    components = made.setdefault("components", {})
    components["schemas"] = {
        **component_schemas(service.classifier.taxonomy, service.settings.max_items),
        "Problem": PROBLEM,
    }
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    paths = made["paths"]
    _ask(paths["/v1/classify"]["post"], ["ClassifyText", "ClassifyItems"], _CLASSIFY_EXAMPLES)
    _ask(paths["/predict"]["post"], ["PredictRequest"], _PREDICT_EXAMPLES)
    for path, method in (
        ("/v1/classify", "post"),
        ("/predict", "post"),
        ("/v1/model", "get"),
        ("/v1/model/reload", "post"),
    ):
        paths[path][method]["security"] = [{}, {"key": []}]
    if service.example is not None:
        failed = {"id": "T2", "error": {"code": "blank_text", "message": "the text is blank; …"}}
        value = {"model_version": service.classifier.model_version, "results": [service.example, failed]}
        answer = paths["/v1/classify"]["post"]["responses"]["200"]["content"]["application/json"]
        answer["examples"] = {"items": {"summary": "As the loaded bundle answers 当前模型的真实回答", "value": value}}
    return made


def _ask(operation: dict[str, Any], names: list[str], examples: dict[str, Any]) -> None:
    kinds = [{"$ref": f"#/components/schemas/{name}"} for name in names]
    schema = kinds[0] if len(kinds) == 1 else {"oneOf": kinds}
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": schema, "examples": examples}},
    }
