"""The micro-batcher's promises, on the shipped classifier with a brake and some sabotage."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence

import pytest

from data.errors import TextError
from model.classifier import Classifier
from model.decision import Prediction
from model.errors import EngineError
from serving.batching import BatchLimits, Job, MicroBatcher
from serving.errors import DeadlineExceeded, Overloaded, Unavailable

POISON = "毒"
DEADLY = "死"


class Watched(Classifier):
    """Records every batch, waits for the brake, fails on poison and dies of what is deadly."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__(classifier.bundle, threads=1)
        self.batches: list[list[str]] = []
        self.brake = threading.Event()
        self.brake.set()

    def predict_each(self, texts: Sequence[str]) -> list[Prediction | TextError]:
        self.batches.append(list(texts))
        assert self.brake.wait(30)
        if any(DEADLY in text for text in texts):
            raise SystemExit
        if any(POISON in text for text in texts):
            raise RuntimeError("cannot be classified")
        return super().predict_each(texts)


class Counts:
    """Keeps what the batcher reports."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, int]] = []
        self.waits: list[float] = []

    def batch_done(self, size: int, tokens: int, seconds: float) -> None:
        assert seconds > 0
        self.batches.append((size, tokens))

    def text_waited(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def watched(classifier: Classifier) -> Watched:
    return Watched(classifier)


def run(scenario: Callable[[MicroBatcher], Awaitable[None]], **limits: float) -> Counts:
    counts = Counts()

    async def whole() -> None:
        batcher = MicroBatcher(BatchLimits(**limits), counts)  # type: ignore[arg-type]
        batcher.start()
        try:
            await asyncio.wait_for(scenario(batcher), 60)
        finally:
            batcher.close()

    asyncio.run(whole())
    return counts


def submit(batcher: MicroBatcher, classifier: Classifier, *texts: str, left_s: float = 30.0) -> Job:
    return batcher.submit(classifier, texts, left_s, left_s)


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to pass")


def test_an_idle_engine_gets_a_text_at_once(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        job = submit(batcher, watched, "登不上去")
        assert job.queued == 0
        assert batcher.waiting == 0
        await job.future

    counts = run(scenario)
    assert counts.batches == [(1, 6)]


def test_what_queues_behind_a_busy_engine_shares_a_batch_and_gets_the_same_answers(watched: Watched) -> None:
    texts = ["转账失败", "希望出深色模式", "挺好用的", "验证码收不到", "账户被盗刷了三笔，一共8600"]

    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        first = submit(batcher, watched, "卡")
        jobs = [submit(batcher, watched, text) for text in texts]
        assert batcher.waiting == len(texts)
        watched.brake.set()
        together = [(await job.future)[0] for job in jobs]
        await first.future
        assert [sorted(batch) for batch in watched.batches] == [["卡"], sorted(texts)]
        assert together == [watched.predict([text])[0] for text in texts]

    counts = run(scenario)
    assert [size for size, _ in counts.batches] == [1, len(texts)]
    assert len(counts.waits) == 1 + len(texts)


def test_batches_keep_to_the_token_budget_and_a_large_job_comes_back_in_order(watched: Watched) -> None:
    texts = [f"第{number}条反馈，转账失败" for number in range(20)]

    async def scenario(batcher: MicroBatcher) -> None:
        job = submit(batcher, watched, *texts)
        predictions = await job.future
        assert predictions == watched.predict(texts)
        batched = [text for batch in watched.batches[:-1] for text in batch]
        assert sorted(batched) == sorted(texts)

    counts = run(scenario, batch_tokens=60)
    assert all(tokens <= 60 for _, tokens in counts.batches)
    assert len(counts.batches) >= 5


def test_texts_of_like_length_go_together_but_the_oldest_always_goes(watched: Watched) -> None:
    short, long = "闪退", "每次打开都要等很久才能进去" * 4

    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        jobs = [submit(batcher, watched, text) for text in ("卡", short, long, short, long)]
        watched.brake.set()
        await asyncio.gather(*(job.future for job in jobs))

    run(scenario, batch_tokens=110, max_wait_s=60)
    assert watched.batches == [["卡"], [short, short, long], [long]]


def test_a_text_that_waits_too_long_goes_before_better_fitting_ones(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        jobs = [submit(batcher, watched, text) for text in ("卡", "闪退一", "等了很久很久了", "闪退二")]
        await asyncio.sleep(0.05)
        watched.brake.set()
        await asyncio.gather(*(job.future for job in jobs))

    run(scenario, batch_tokens=16, max_wait_s=0.01)
    assert watched.batches == [["卡"], ["闪退一", "等了很久很久了"], ["闪退二"]]


def test_a_text_the_engine_fails_on_does_not_harm_its_neighbours(watched: Watched) -> None:
    texts = ["转账失败", f"有{POISON}", "挺好用的", "闪退"]

    async def scenario(batcher: MicroBatcher) -> None:
        outcomes = await submit(batcher, watched, *texts).future
        assert [isinstance(outcome, EngineError) for outcome in outcomes] == [False, True, False, False]
        assert outcomes[2] == watched.predict([texts[2]])[0]
        assert batcher.trouble is None

    run(scenario)


def test_abandoned_and_expired_texts_never_reach_the_engine(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        first = submit(batcher, watched, "卡")
        left = submit(batcher, watched, "走了一", "走了二")
        late = submit(batcher, watched, "迟到", left_s=0.05)
        stays = submit(batcher, watched, "还在")
        batcher.abandon(left)
        with pytest.raises(DeadlineExceeded):
            await late.future
        assert batcher.waiting == 1
        watched.brake.set()
        await asyncio.gather(first.future, stays.future)

    run(scenario)
    assert watched.batches == [["卡"], ["还在"]]


def test_an_answer_that_comes_after_the_deadline_is_dropped(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        late = submit(batcher, watched, "慢", left_s=0.05)
        with pytest.raises(DeadlineExceeded):
            await late.future
        watched.brake.set()
        assert len(await submit(batcher, watched, "后来的").future) == 1

    run(scenario)


@pytest.mark.parametrize(("limits", "fits"), [({"queue_texts": 3}, 3), ({"queue_tokens": 20}, 5)])
def test_the_queue_is_bounded_in_texts_and_in_tokens(watched: Watched, limits: dict[str, int], fits: int) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        jobs = [submit(batcher, watched, "卡")]
        for _ in range(fits):
            jobs.append(submit(batcher, watched, "闪退"))
        with pytest.raises(Overloaded, match="texts are waiting already") as refused:
            submit(batcher, watched, "闪退")
        assert refused.value.retry_after_s is not None
        assert 1 <= refused.value.retry_after_s <= 60
        watched.brake.set()
        await asyncio.gather(*(job.future for job in jobs))
        await submit(batcher, watched, "闪退").future

    run(scenario, **limits)


def test_a_job_larger_than_the_queue_is_let_in_when_nothing_waits(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        assert len(await submit(batcher, watched, *["闪退"] * 5).future) == 5

    run(scenario, queue_texts=3)


def test_texts_for_two_classifiers_are_never_mixed(watched: Watched, classifier: Classifier) -> None:
    other = Watched(classifier)

    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        pairs = [(watched, "卡"), (watched, "旧一"), (other, "新一"), (watched, "旧二"), (other, "新二")]
        jobs = [submit(batcher, owner, text) for owner, text in pairs]
        watched.brake.set()
        await asyncio.gather(*(job.future for job in jobs))

    run(scenario)
    assert watched.batches == [["卡"], ["旧一", "旧二"]]
    assert other.batches == [["新一", "新二"]]


def test_the_death_of_the_inference_thread_is_trouble_and_leaves_nobody_waiting(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        assert batcher.trouble is None
        watched.brake.clear()
        victim = submit(batcher, watched, DEADLY)
        waiting = submit(batcher, watched, "等着")
        watched.brake.set()
        (outcome,) = await victim.future
        assert isinstance(outcome, EngineError)
        with pytest.raises(Unavailable):
            await waiting.future
        assert batcher.trouble == "an inference thread has died; restart the service"
        with pytest.raises(Unavailable):
            submit(batcher, watched, "再来")

    run(scenario)


def test_a_run_that_hangs_is_trouble_until_it_ends(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        watched.brake.clear()
        job = submit(batcher, watched, "卡")
        await until(lambda: batcher.trouble is not None)
        assert "hangs" in str(batcher.trouble)
        watched.brake.set()
        await job.future
        assert batcher.trouble is None

    run(scenario, stuck_after_s=0.05)


def test_an_engine_that_fails_on_every_text_is_trouble_until_one_succeeds(watched: Watched) -> None:
    async def scenario(batcher: MicroBatcher) -> None:
        for _ in range(3):
            assert batcher.trouble is None
            await submit(batcher, watched, POISON).future
        assert batcher.trouble == "the engine fails on every text"
        await submit(batcher, watched, "好").future
        assert batcher.trouble is None

    run(scenario)


def test_before_the_start_there_is_no_engine(watched: Watched) -> None:
    batcher = MicroBatcher(BatchLimits(), Counts())
    assert batcher.trouble == "the engine is not started"
    with pytest.raises(Unavailable):
        submit(batcher, watched, "好")
