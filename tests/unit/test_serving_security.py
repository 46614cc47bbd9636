"""Keys, rate limits and settings: what is accepted, what is refused, and that no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from serving.errors import AdminOnly, KeyRefused, RateLimited, SettingsError
from serving.security import Caller, KeyRing, RateLimiter, hashed, new_key
from serving.settings import ServiceSettings, load_settings

KEY = "a-key-that-nobody-guesses"


def ring(entries: str = "", file: Path | None = None) -> KeyRing:
    return KeyRing(ServiceSettings(api_keys=SecretStr(entries), api_keys_file=file))


def test_without_keys_everybody_may_call_under_their_address_and_nobody_is_admin() -> None:
    keys = ring()
    caller = keys.caller({}, "10.0.0.1")
    assert caller == Caller("10.0.0.1")
    with pytest.raises(AdminOnly, match="no admin key"):
        keys.admin(caller)


@pytest.mark.parametrize("entry", [f"desk={KEY}", f"desk={hashed(KEY)}"])
@pytest.mark.parametrize(
    "headers", [{"authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY}]
)
def test_a_key_names_its_caller(entry: str, headers: dict[str, str]) -> None:
    assert ring(f"other={hashed('x' * 20)},{entry}").caller(headers, "") == Caller("desk")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer "},
        {"authorization": f"Basic {KEY}"},
        {"x-api-key": KEY + "x"},
        {"x-api-key": hashed(KEY)},
    ],
)
def test_no_key_or_a_wrong_one_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(KeyRefused) as refused:
        ring(f"desk={KEY}").caller(headers, "")
    assert KEY not in str(refused.value)


def test_admins_are_named_so_and_others_are_none() -> None:
    keys = ring(f"desk={KEY},ops:admin={KEY}2")
    keys.admin(keys.caller({"x-api-key": KEY + "2"}, ""))
    with pytest.raises(AdminOnly):
        keys.admin(keys.caller({"x-api-key": KEY}, ""))


def test_keys_come_from_a_file_too(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# the desk\ndesk={hashed(KEY)}\n\nops:admin={hashed(KEY + '2')}\n")
    keys = ring("", file)
    assert keys.caller({"x-api-key": KEY}, "").name == "desk"
    assert keys.caller({"x-api-key": KEY + "2"}, "") == Caller("ops", admin=True)
    with pytest.raises(SettingsError, match="cannot be read"):
        ring("", tmp_path / "nope")


@pytest.mark.parametrize("entry", ["desk", "desk=short", f"de sk={KEY}", "desk=sha256:zz0123456789abcdef", f"={KEY}"])
def test_malformed_entries_are_refused_without_showing_them(entry: str) -> None:
    with pytest.raises(SettingsError, match="entry 1") as refused:
        ring(entry)
    assert entry.partition("=")[2] not in str(refused.value) or not entry.partition("=")[2]


def test_a_new_key_opens_the_door_its_entry_describes() -> None:
    key, entry = new_key("ops:admin")
    assert key not in entry
    assert ring(entry).caller({"x-api-key": key}, "") == Caller("ops", admin=True)
    assert new_key("ops")[0] != new_key("ops")[0]
    with pytest.raises(SettingsError):
        new_key("no spaces")


def test_settings_never_show_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANKUI_API_KEYS", f"desk={KEY}")
    assert KEY not in repr(load_settings())
    assert load_settings().api_keys.get_secret_value() == f"desk={KEY}"


def test_flags_go_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANKUI_MAX_ITEMS", "7")
    assert load_settings().max_items == 7
    assert load_settings(max_items="9").max_items == 9
    assert load_settings(max_items=None).max_items == 7
    monkeypatch.setenv("FANKUI_MAX_ITEMS", "")
    assert load_settings().max_items == 256


def test_a_setting_that_is_not_allowed_is_named() -> None:
    with pytest.raises(SettingsError, match=r"^setting port \(FANKUI_PORT\): .*65535"):
        load_settings(port=70000)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_caller_has_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    limiter = RateLimiter(2.0, 3, clock)
    for _ in range(3):
        limiter.take("desk")
    with pytest.raises(RateLimited) as refused:
        limiter.take("desk")
    assert refused.value.retry_after_s == 1
    limiter.take("another")
    clock.now += 0.5
    limiter.take("desk")
    with pytest.raises(RateLimited):
        limiter.take("desk")
    clock.now += 60
    for _ in range(3):
        limiter.take("desk")
    with pytest.raises(RateLimited):
        limiter.take("desk")


def test_a_slow_rate_says_how_long_to_wait() -> None:
    limiter = RateLimiter(0.1, 1, Clock())
    limiter.take("desk")
    with pytest.raises(RateLimited) as refused:
        limiter.take("desk")
    assert refused.value.retry_after_s == 10


def test_no_rate_is_no_limit() -> None:
    limiter = RateLimiter(0.0, 1, Clock())
    for _ in range(100):
        limiter.take("desk")


def test_the_limiter_forgets_the_longest_silent_caller_rather_than_grow() -> None:
    limiter = RateLimiter(0.001, 1, Clock())
    for number in range(10_001):
        limiter.take(str(number))
    limiter.take("0")
    with pytest.raises(RateLimited):
        limiter.take("10000")
