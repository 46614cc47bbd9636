"""What the shipped bundle says of a few texts, frozen: a change must be meant.

After a release: python -m tests.integration.test_golden
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from model.classifier import Classifier

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "predictions.json"
TEXTS = (
    "登录不上去，一直转圈",
    "验证码半天收不到",
    "我的银行卡绑不上去，提示预留手机号不对",
    "更新以后天天闪退，卸了",
    "退款都十天了还没到账，再不处理我就投诉到银保监会",
    "界面太乱，而且转账老失败",
    "怎么查去年的账单",
    "垃圾",
    "。。。",
    "👍👍👍",
    "八達通增值失敗，錢扣咗",
    "已经到账了，谢谢",
    "能不能加个记账功能",
    "有人给我发短信说账户异常，让我点链接，我没点",
    "字太小了，老人看不清",
)


def _said(classifier: Classifier) -> dict[str, Any]:
    predictions = classifier.predict(TEXTS)
    return {
        "model_version": classifier.model_version,
        "labels": {text: dict(prediction.labels) for text, prediction in zip(TEXTS, predictions, strict=True)},
    }


def test_labels_are_the_released_ones(classifier: Classifier) -> None:
    golden = json.loads(GOLDEN.read_text("utf-8"))
    said = _said(classifier)
    assert said["model_version"] == golden["model_version"], (
        "another bundle: run python -m tests.integration.test_golden"
    )
    assert said["labels"] == golden["labels"]


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps(_said(Classifier.load()), ensure_ascii=False, indent=1) + "\n", "utf-8")
