"""The Python client and existing Hugging Face clients, against a real server."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from fankui import AsyncClient, Classifier, Client
from serving.errors import ServiceRefused, ServiceUnreachable

if TYPE_CHECKING:
    from tests.integration.conftest import RunningService, StartService

KEY = "fk_desk_0123456789"
TEXTS = ["登不上去，验证码收不到", "希望出个深色模式"]


def test_the_client_says_what_the_classifier_says(service: RunningService, classifier: Classifier) -> None:
    with Client(service.url) as client:
        answers = client.classify([*TEXTS, " "], ids=["a", 2, None])
        assert [answer.id for answer in answers] == ["a", 2, None]
        for answer, prediction in zip(answers, classifier.predict(TEXTS), strict=False):
            assert answer.values == prediction.to_dict()
            assert answer["urgency"] == prediction["urgency"]
            assert answer.model_version == classifier.model_version
            assert answer.error_code is None
        assert answers[2].error_code == "blank_text"
        assert str(answers[2].error_message).startswith("the text is blank")
        assert client.classify(TEXTS[0])[0]["topics"] == answers[0]["topics"]
        assert client.classify("电话13800138000", mask=True)[0]["masked_text"] == "电话<MOBILE>"
        assert client.classify([]) == []
        assert client.model()["model_version"] == classifier.model_version


def test_many_texts_go_in_several_requests_and_come_back_in_order(service: RunningService) -> None:
    texts = [f"第{number}次转账失败" for number in range(150)]
    before = service.counted("fankui_requests_total", route="/v1/classify")
    with Client(service.url) as client:
        answers = client.classify(texts, ids=range(150))
        assert [answer.id for answer in answers] == list(range(150))
        assert [answer.values for answer in answers[140:]] == [answer.values for answer in client.classify(texts[140:])]
    assert service.counted("fankui_requests_total", route="/v1/classify") - before == 4


def test_ids_and_texts_must_be_as_many(service: RunningService) -> None:
    with Client(service.url) as client, pytest.raises(ValueError, match="2 texts but 1 ids"):
        client.classify(TEXTS, ids=["a"])


def test_the_async_client_does_the_same(service: RunningService) -> None:
    async def ask() -> None:
        async with AsyncClient(service.url) as client:
            many = await asyncio.gather(*(client.classify(text) for text in TEXTS * 5))
            with Client(service.url) as other:
                assert [answers[0] for answers in many[:2]] == other.classify(TEXTS)
            assert (await client.model())["model_version"] == many[0][0].model_version
            with pytest.raises(ServiceRefused) as refused:
                await client.classify("好", ids=["x" * 300])
            assert refused.value.problem_code == "invalid_request"

    asyncio.run(ask())


def test_the_client_waits_as_long_as_the_service_asks_and_tries_again(start_service: StartService) -> None:
    with start_service("--rate-limit-per-s", "1", "--rate-burst", "1", FANKUI_API_KEYS=f"desk={KEY}") as service:
        with Client(service.url, KEY) as client:
            began = time.monotonic()
            assert [client.classify("好")[0].error_code for _ in range(2)] == [None, None]
            assert time.monotonic() - began >= 0.9
        assert service.counted("fankui_requests_total", outcome="rate_limited") >= 1

        async def twice() -> None:
            async with AsyncClient(service.url, KEY) as client:
                for _ in range(2):
                    await client.classify("好")

        asyncio.run(twice())
        with Client(service.url, KEY, retries=0) as client, pytest.raises(ServiceRefused) as refused:
            client.classify("好")
            client.classify("好")
        assert (refused.value.status, refused.value.problem_code) == (429, "rate_limited")


def test_refusals_and_silence_are_said(start_service: StartService) -> None:
    with start_service(FANKUI_API_KEYS=f"desk={KEY}") as service:
        with (
            Client(service.url) as client,
            pytest.raises(ServiceRefused, match=r"^401 key_refused: no API key") as refused,
        ):
            client.classify("好")
        url = service.url
        service.stop()
        assert str(refused.value.request_id) in service.log()  # the log is whole once the process has ended
    with Client(url, retries=1) as client, pytest.raises(ServiceUnreachable, match="no answer from"):
        client.classify("好")


def test_a_client_that_stops_waiting_is_not_worked_for(service: RunningService) -> None:
    with Client(service.url, timeout_s=0.0005) as client, pytest.raises((ServiceUnreachable, ServiceRefused)):
        client.classify("登不上去" * 10_000)


def test_hugging_face_clients_work_as_they_are(start_service: StartService, classifier: Classifier) -> None:
    hub = pytest.importorskip("huggingface_hub")
    with start_service(FANKUI_API_KEYS=f"desk={KEY}") as service:
        client = hub.InferenceClient(model=f"{service.url}/predict", token=KEY)
        everything = client.text_classification(TEXTS[0])
        expected = classifier.predict([TEXTS[0]])[0].probabilities
        assert {element.label: element.score for element in everything} == expected
        assert [element.score for element in everything] == sorted(expected.values(), reverse=True)
        assert len(client.text_classification(TEXTS[0], top_k=3)) == 3


def test_predict_takes_several_texts_and_refuses_what_it_cannot_do(service: RunningService) -> None:
    answer = service.http.post(
        "/predict", json={"inputs": TEXTS, "parameters": {"top_k": 2}, "options": {"use_cache": True}}
    )
    assert [len(labels) for labels in answer.json()] == [2, 2]
    for body, code in [
        ({"inputs": []}, "invalid_request"),
        ({"inputs": "好", "parameters": {"function_to_apply": "softmax"}}, "invalid_request"),
        ({"inputs": ["好", " "]}, "blank_text"),
        ({"inputs": ["好"] * 257}, "too_many_items"),
    ]:
        refused = service.http.post("/predict", json=body)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
