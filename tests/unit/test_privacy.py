"""Masking finds what it should, by validation, and leaves the rest alone."""

from __future__ import annotations

import random
import time

import pytest

from data.privacy import PLACEHOLDERS, is_bank_card, is_id_card, mask, personal_data

ID_CARD = "11010519491231002X"  # the example of the standard


def test_examples_hold_the_check_digits_this_file_relies_on() -> None:
    assert is_id_card(ID_CARD)
    assert is_bank_card("4111111111111111")
    assert is_bank_card(_with_luhn("622202123456789012"))


def _with_luhn(number: str) -> str:
    return next(number + str(digit) for digit in range(10) if is_bank_card(number + str(digit)))


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("我的号码13800138000收不到验证码", "我的号码<MOBILE>收不到验证码"),
        ("138 0013 8000和138-0013-8000", "<MOBILE>和<MOBILE>"),
        ("+86 13800138000，0086-13800138000，8613800138000", "<MOBILE>，<MOBILE>，<MOBILE>"),
        ("１３８００１３８０００打不通", "<MOBILE>打不通"),
        ("电话.13800138000", "电话.<MOBILE>"),
        ("香港+852 9123 4567，澳门+853 61234567，台灣+886 912 345 678", "香港<MOBILE>，澳门<MOBILE>，台灣<MOBILE>"),
        (f"身份证{ID_CARD}识别不了", "身份证<ID_CARD>识别不了"),
        (f"身份证{ID_CARD.lower()}", "身份证<ID_CARD>"),
        ("110105 19491231 002X", "<ID_CARD>"),
        ("卡号4111111111111111被盗刷", "卡号<BANK_CARD>被盗刷"),
        ("4111 1111 1111 1111和4111-1111-1111-1111", "<BANK_CARD>和<BANK_CARD>"),
        ("邮箱zhang.san+pay@example.com.cn没收到", "邮箱<EMAIL>没收到"),
        ("订单号20240315123456789一直处理中", "订单号<ORDER_NUMBER>一直处理中"),
        ("单号：SF1234567890", "单号：<ORDER_NUMBER>"),
        ("流水号 AB-2024-0099887 没到账", "流水号 <ORDER_NUMBER> 没到账"),
        ("2024031522001156781234567890", "<ORDER_NUMBER>"),
        ("13800138000 4111111111111111 a@b.cn", "<MOBILE> <BANK_CARD> <EMAIL>"),
    ],
)
def test_personal_data_becomes_a_typed_placeholder(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "转账一直失败，钱扣了对方没收到",
        "扣了8600.50元，分3笔",
        "2024-03-15 10:20:30 更新到9.10.22之后闪退",
        "iPhone15 Pro Max，iOS 17.4.1，华为Mate60",
        "客服95188一直占线，12306买票",
        "版本号1.2.3，订单号多少",
        "余额0.123456789",
        "@所有人 试试",
    ],
)
def test_what_is_not_personal_stays(text: str) -> None:
    assert mask(text) == text


def test_a_wrong_check_digit_is_not_a_card_but_is_still_hidden() -> None:
    wrong_id = ID_CARD[:-1] + "1"
    assert not is_id_card(wrong_id)
    assert mask(wrong_id) == "<ORDER_NUMBER>"
    assert not is_bank_card("4111111111111112")
    assert mask("4111111111111112") == "<ORDER_NUMBER>"


def test_a_date_that_does_not_exist_is_not_an_id_card() -> None:
    head = "11010519490231002"
    assert not any(is_id_card(head + last) for last in "0123456789X")


def test_positions_are_those_of_the_text_given() -> None:
    text = "😀手机１３８ ００１３ ８０００，邮箱a@b.cn。"
    found = personal_data(text)
    assert [(one.kind, text[one.start : one.end]) for one in found] == [
        ("mobile", "１３８ ００１３ ８０００"),
        ("email", "a@b.cn"),
    ]


def test_masking_twice_changes_nothing_and_no_planted_number_survives() -> None:
    chance = random.Random(7)
    for _ in range(300):
        mobile = f"1{chance.randint(3, 9)}{chance.randrange(10**9):09d}"
        card = _with_luhn(f"62{chance.randrange(10**16):016d}")
        pieces = [mobile, card, f"u{chance.randrange(10**6)}@mail.cn", "转账", "失败，", " ", "订单号", "充值100元"]
        chance.shuffle(pieces)
        text = "；".join(pieces)
        masked = mask(text)
        assert mobile not in masked
        assert card not in masked
        assert mask(masked) == masked
        assert sum(masked.count(placeholder) for placeholder in PLACEHOLDERS.values()) == 3


@pytest.mark.parametrize("text", ["a" * 65_536, "1" * 65_536, "a@" * 32_768, "1 " * 32_768, "单号A" * 16_384])
def test_hostile_texts_take_no_long_time(text: str) -> None:
    began = time.process_time()
    mask(text)
    assert time.process_time() - began < 2
