from __future__ import annotations

import numpy as np
import pytest
import torch

from data.taxonomy import Taxonomy
from training.augment import Augmentation, augmented, join_targets, phrases, with_affix, with_noise
from training.dataset import targets
from training.losses import head_losses

TAXONOMY = Taxonomy.default()
DEFECT = {
    "text": "转账一直失败",
    "topics": ["payment_failure"],
    "issues": ["payment_failure.transfer"],
    "urgency": "high",
    "handling": "investigate",
    "sentiment": "negative",
    "churn_risk": False,
}
PRAISE = {
    "text": "很好用",
    "topics": [],
    "issues": [],
    "urgency": "low",
    "handling": "immediate",
    "sentiment": "positive",
    "churn_risk": False,
}
LEAVING = {
    **DEFECT,
    "text": "界面太卡，卸载了",
    "topics": ["ui"],
    "issues": [],
    "urgency": "normal",
    "churn_risk": True,
}


def _read(vector: np.ndarray, head: str) -> list[float]:
    return [round(float(v), 3) for v in vector[TAXONOMY.slices[head]]]


def test_joined_texts_carry_the_labels_of_both() -> None:
    defect, leaving, praise = targets([DEFECT, LEAVING, PRAISE], TAXONOMY)
    both = join_targets(TAXONOMY, defect, leaving)
    names = [label.name for label in TAXONOMY.head("topics").labels]
    assert {n for n, v in zip(names, _read(both, "topics"), strict=True) if v} == {"payment_failure", "ui"}
    assert _read(both, "urgency") == _read(defect, "urgency") and _read(both, "churn_risk") == [1.0]
    assert _read(both, "handling") == _read(defect, "handling")
    assert np.isnan(_read(join_targets(TAXONOMY, defect, praise), "sentiment")).all()


def test_joined_soft_targets_are_probabilities() -> None:
    soft = np.full(len(TAXONOMY.logit_names), 0.25, dtype=np.float32)
    joined = join_targets(TAXONOMY, soft, soft)
    where = TAXONOMY.slices["urgency"]
    assert joined[where].sum() == pytest.approx(1.0) and (np.diff(joined[where]) > 0).all()
    assert joined[TAXONOMY.slices["topics"]] == pytest.approx(1 - 0.75**2)


def test_affixes_and_noise_change_the_text_and_little_of_it() -> None:
    generator = np.random.default_rng(0)
    text = "我的账户登录不了，转账的钱没到账！"
    affixed = {with_affix(text, generator) for _ in range(50)}
    assert all(text in one and one != text for one in affixed) and len(affixed) > 40
    noisy = [with_noise(text, generator) for _ in range(50)]
    typed = [one for one in noisy if len(one) == len(text)]
    assert typed and all(1 <= sum(a != b for a, b in zip(one, text, strict=True)) <= 2 for one in typed)
    assert any("，" not in one and "！" not in one for one in noisy)
    assert with_noise("。。。", generator) == "。。。"


def test_phrases_have_no_doubles() -> None:
    own = phrases()
    assert len(set(own.before)) == len(own.before) > 40 and len(set(own.after)) == len(own.after) > 40
    assert all(character not in others for character, others in own.confused.items())


def test_copies_are_added_as_often_as_asked() -> None:
    matrix = targets([DEFECT, LEAVING, PRAISE] * 20, TAXONOMY)
    texts = [f"{r['text']}{i}" for i, r in enumerate([DEFECT, LEAVING, PRAISE] * 20)]
    more, wanted = augmented(texts, matrix, TAXONOMY, Augmentation(join=0.5, affix=0.1, noise=0.2), seed=1)
    assert more[:60] == texts and len(more) == 60 + 30 + 6 + 12 == len(wanted)
    assert all(sum(text in one for text in texts) >= 2 for one in more[60:90])
    assert all(any(text in one for text in texts) for one in more[90:96])
    again, _ = augmented(texts, matrix, TAXONOMY, Augmentation(join=0.5, affix=0.1, noise=0.2), seed=1)
    same, unchanged = augmented(texts, matrix, TAXONOMY, Augmentation(), seed=1)
    assert again == more and same == texts and (unchanged == matrix).all()


def test_losses_take_a_teachers_probabilities() -> None:
    wanted = targets([DEFECT, LEAVING, PRAISE], TAXONOMY)
    logits = torch.randn(3, wanted.shape[1], generator=torch.Generator().manual_seed(0))
    for loss in head_losses(TAXONOMY, wanted, {}, 0.5, 0.0):
        hard = torch.from_numpy(wanted)
        own = logits[:, loss.where]
        soft = hard.clone()
        soft[:, loss.where] = own.sigmoid() if loss.head.kind in ("multi_label", "binary") else own.softmax(1)
        assert float(loss(logits, soft)) >= 0 and float(loss(logits, soft)) != float(loss(logits, hard))
