"""What is left of a sentence when its numbers and names are taken out: equal remains betray a template."""

from __future__ import annotations

import re
from typing import Final

from data.near_duplicates import folded
from data.text import normalise

_NAMES: Final = re.compile(
    # wallets and shops
    "支付宝|微信支付|微信|余额宝|花呗|借呗|白条|零钱通|零钱|云闪付|财付通|京东支付|京东|美团|拼多多|淘宝|抖音|滴滴|携程|饿了么"
    "|八达通|转数快|payme|wechat ?pay|apple ?pay|alipay|line ?pay|街口|银联|数字人民币"
    # banks
    "|招商银行|招行|建设银行|建行|工商银行|工行|农业银行|农行|中国银行|中行|中银|交通银行|交行|邮政储蓄|邮储|邮政|农商行|农商|农信社|农信"
    "|信用社|浦发|中信|民生|兴业|光大|平安|广发|华夏|村镇银行|汇丰|恒生|渣打|众安|天星"
    # devices and systems
    "|华为|小米|红米|苹果|三星|荣耀|魅族|一加|oppo|vivo|iphone|ipad|安卓|android|ios|鸿蒙"
    # people and places
    "|老公|老婆|爸爸|妈妈|爸|妈|儿子|女儿|孩子|爷爷|奶奶|客户|用户|男友|女友|朋友|同事|同学"
    "|北京|上海|广州|深圳|杭州|成都|香港|澳门|台湾",
    re.IGNORECASE,
)
_DIGITS: Final = "0-9零一二三四五六七八九十百千万亿两几半"
_NUMBER: Final = re.compile(
    f"[{_DIGITS}][{_DIGITS}.,:/-]*(?:块钱|分钟|小时|个月|块|元|天|个|次|月|年|号|日|笔|周|秒|点)?"
)


def skeleton(text: str) -> str:
    """A text without its names, numbers, punctuation and emoji.

    Args:
        text: as a person wrote it.

    Returns:
        The rest, each name as 某 and each number as 0; for a text of nothing else, the normalised text.
    """
    named = _NAMES.sub("某", normalise(text))
    return folded(_NUMBER.sub("0", named))
