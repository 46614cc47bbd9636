"""Near-duplicates: what counts as the same, what is found, what groups are formed."""

import random

import pytest

from data.near_duplicates import Pair, clusters, folded, grams, near_duplicates, similarity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("扣了300块！！！", "扣了512块"),
        ("轉賬失敗", "转账失败。"),
        ("APP 闪退", "app闪退😡"),
        ("订单20240131889900没到", "订单1没到"),
    ],
)
def test_texts_that_differ_in_dress_only_fold_to_the_same(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_texts_of_nothing_but_punctuation_or_digits_stay_themselves() -> None:
    assert folded("。。。") != folded("？？？")
    assert folded("666") != folded("886")


def test_grams_of_short_texts() -> None:
    assert grams("差") == {"差"}
    assert grams("差评差评") == {"差评差", "评差评"}


def test_similarity_is_jaccard() -> None:
    assert similarity(frozenset("abc"), frozenset("bcd")) == 0.5
    assert similarity(frozenset("a"), frozenset("a")) == 1.0


def test_a_reworded_copy_is_found_and_another_complaint_is_not() -> None:
    texts = [
        "昨天在菜市场付款码一直转圈，后面排了一长队",
        "登录不了，换了手机也不行",
        "昨天在菜市场付款码一直转圈转圈，后面排了一长队人",
        "基金页面打开是空白的",
    ]
    pairs = near_duplicates(texts)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2)]
    assert pairs[0].similarity == pytest.approx(similarity(grams(folded(texts[0])), grams(folded(texts[2]))))


def test_the_search_finds_what_comparing_all_with_all_finds() -> None:
    generator = random.Random(7)
    base = ["".join(generator.choices("钱转账退款失败登录闪退慢卡", k=24)) for _ in range(150)]
    texts = base + [text[:cut] + "吗" + text[cut + 1 :] for text in base for cut in (4, 17)]
    sets = [grams(folded(text)) for text in texts]
    everything = {(i, j) for j in range(len(texts)) for i in range(j) if similarity(sets[i], sets[j]) >= 0.5}
    found = {(pair.first, pair.second) for pair in near_duplicates(texts)}
    assert found <= everything
    assert len(everything) >= 400
    assert len(found) >= 0.98 * len(everything)


def test_clusters_follow_chains_and_keep_everyone() -> None:
    assert clusters(6, [Pair(4, 5, 0.9), Pair(0, 4, 0.6), Pair(1, 3, 0.7)]) == [[0, 4, 5], [1, 3], [2]]


def test_no_texts() -> None:
    assert near_duplicates([]) == []
