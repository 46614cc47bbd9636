"""A GBK export with everything in it that goes wrong in practice, of any length, the same every time.

    python -m benchmarks.faulty_export OUT.csv --rows 200000

Prints, as JSON, how many rows of which kind are planted.
"""

from __future__ import annotations

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Final

_WORDS: Final = (
    "转账", "失败", "扣款", "登录", "验证码", "闪退", "客服", "退款", "到账", "密码", "很久", "不", "好", "余额",
    "昨天", "还是", "怎么", "回事", "打不开", "盗刷", "希望", "支持", "指纹", "商家", "付款码", "提现", "，", "。",
)  # fmt: skip
_NOTES: Final = ("=cmd|' /C calc'!A0", "@SUM(1)", "+86", "-3.5", "普通备注", "")
# every so many rows, from which row on: the first fault that fits a row is its only one
_FAULTS: Final = (
    ("too long", 5_000, 5),
    ("long", 5_000, 6),
    ("rejects", 101, 0),
    ("too few cells", 103, 0),
    ("blank", 97, 0),
    ("bad bytes", 53, 0),
    ("nul", 61, 0),
    ("line ends in cells", 41, 0),
    ("formulas", 37, 0),
    ("emoji", 29, 0),
    ("duplicates", 11, 0),
)


def write_faulty_export(path: Path, rows: int, seed: int = 7) -> Counter[str]:
    """Write the export.

    Args:
        path: takes the file; columns 编号, 反馈内容, 备注 in GBK (emoji in GB18030).
        rows: under the header, the rejects among them.
        seed: of the texts.

    Returns:
        How many rows of each kind there are, ``rows`` in all.
    """
    chosen, planted = random.Random(seed), Counter({"rows": rows})
    with path.open("wb") as file:
        file.write("编号,反馈内容,备注\r\n".encode("gbk"))
        for number in range(rows - 1):
            file.write(_line(number, chosen, planted))
        file.write('最后,"没写完,x\r\n'.encode("gbk"))  # a quote that never closes
        planted["rejects"] += 1
    return planted


def _line(number: int, chosen: random.Random, planted: Counter[str]) -> bytes:
    fault = next((name for name, every, first in _FAULTS if number % every == first), "plain")
    planted[fault] += 1
    text = "".join(chosen.choices(_WORDS, k=chosen.randint(1, 40))) + f"单号{number:09d}"
    cells = [b"%d" % number, _faulty(text, fault), _NOTES[number % len(_NOTES)].encode("gbk")]
    if fault == "rejects":
        cells += [b"one", b"more"]
    if fault == "too few cells":
        cells.pop()
    return b",".join(cells) + b"\r\n"


def _faulty(text: str, fault: str) -> bytes:
    match fault:
        case "too long":
            text = "长" * 70_000
        case "long":
            text *= 60_000 // len(text)
        case "blank":
            text = " "
        case "nul":
            text += "\x00"
        case "line ends in cells":
            text = f'"第一行\r\n第二行，""引号""，{text}"'
        case "formulas":
            text = f"={text}"
        case "emoji":
            text += "😀👨\u200d👩\u200d👧"
        case "duplicates":
            text = "挺好用的"
    return (b"\xff" if fault == "bad bytes" else b"") + text.encode("gb18030")


def main() -> None:
    """Write a file and print what is planted in it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, metavar="OUT.csv")
    parser.add_argument("--rows", type=int, default=200_000)
    args = parser.parse_args()
    print(json.dumps(write_faulty_export(args.path, args.rows), ensure_ascii=False))


if __name__ == "__main__":
    main()
