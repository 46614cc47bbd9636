from __future__ import annotations

import pytest

from data.corpus import read_split
from data.errors import BlankText, TextTooLong
from data.feedback import checked_text
from data.text import normalise


@pytest.mark.parametrize(
    ("raw", "folded"),
    [
        ("ＡＢＣ　１２３", "ABC 123"),
        ("轉數快收唔到錢", "转数快收唔到钱"),
        ("乾隆年間的乾貨", "乾隆年间的干货"),
        ("垃圾！！！！！！！", "垃圾!!!"),
        ("哈哈哈哈哈哈", "哈哈哈"),
        ("充了1000000元", "充了<NUM>元"),
        ("充了100000元", "充了100000元"),
        ("订单20231231000012退款", "订单<NUM>退款"),
        ("手机138****0000收不到", "手机<NUM>收不到"),
        ("写信a.b@example.com吧", "写信<EMAIL>吧"),
        ("点了http://t.cn/abc?x=1就扣钱", "点了<URL>就扣钱"),
        ("零\u200b宽\ufeff字\x00符", "零宽字符"),
        ("坏的代理\ud800项", "坏的代理?项"),
        ("  多\n\n行\t文 字 ", "多 行 文 字"),
        ("。。。", "。。。"),
    ],
)
def test_normalise_folds(raw: str, folded: str) -> None:
    assert normalise(raw) == folded


def test_normalise_twice_changes_nothing_on_the_corpus() -> None:
    texts = [record.text for split in ("validation", "test") for record in read_split(split)]
    assert len(texts) > 200
    assert [t for t in texts if normalise(normalise(t)) != normalise(t)] == []


def test_normalise_keeps_what_labels_hang_on() -> None:
    """Folding may not merge texts of different labels: no two corpus texts of different topics become one."""
    seen: dict[str, tuple[str, ...]] = {}
    clashes = []
    for record in read_split("train"):
        folded = normalise(record.text)
        if folded in seen and seen[folded] != record.topics:
            clashes.append(record.text)
        seen[folded] = record.topics
    assert clashes == []


def test_limits() -> None:
    assert checked_text(" 。。。 ") == "。。。"
    assert len(checked_text("好" * 65_536)) == 65_536
    with pytest.raises(TextTooLong, match=r"70,000 characters, the limit is 65,536"):
        checked_text("好" * 70_000)
    for blank in ("", "  \n\t", "\u3000", "\x00\x00", "\ufeff"):
        with pytest.raises(BlankText, match="blank"):
            checked_text(blank)
