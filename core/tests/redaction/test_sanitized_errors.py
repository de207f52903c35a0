"""No secret survives, wherever it stands and however it travels; what helps to find a fault does."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus

import httpx
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tickhive import redaction
from tickhive.redaction import MAX_LENGTH, Redactor, _sanitize_error, redact_processor

JWT = "eyJhbGciOiJFUzI1NiIsImtpZCI6Im9yZyJ9.eyJzdWIiOiJvcmcvYXBpIiwibmJmIjoxNzAwfQ.c2lnbmF0dXJl_aW5-h"


@pytest.mark.parametrize(
    ("text", "secret", "kept"),
    [
        ("GET https://api.acme.test/v1/x?symbol=A&signature=abc123 failed", "abc123", "https://api.acme.test/v1/x?***"),
        ("wss://user:hunter2@acme.test:8443/ws", "hunter2", "acme.test:8443/ws"),
        ("proxy socks5h://u%40x:p%3Aw@10.0.0.1:1080 refused", "p%3Aw", "10.0.0.1:1080 refused"),
        ("https://acme.test/a#access_token=zzz999", "zzz999", "https://acme.test/a"),
        ("request to /api/v5/account?apiKey=k1k2k3 was refused", "k1k2k3", "/api/v5/account?*** was refused"),
        ("Authorization: Bearer abc.def", "abc.def", "Authorization"),
        ("{'Authorization': 'Basic dXNlcjpw', 'Accept': 'x'}", "dXNlcjpw", "'Accept': 'x'"),
        ("(b'cookie', b'sid=1234; theme=dark')", "1234", "cookie"),
        ("Set-Cookie: sid=1234; Path=/\nnext line", "1234", "next line"),
        ("X-API-KEY: 123-456 sent", "123-456", "sent"),
        ("ACME-ACCESS-SIGN=Zm9v rejected", "Zm9v", "rejected"),
        ("{'ACME-ACCESS-PASSPHRASE': 'open sesame', 'a': 1}", "sesame", "'a': 1"),
        ("api_key=abc, symbol=BTC-USDT", "abc", "symbol=BTC-USDT"),
        ("password = 'correct horse' rejected", "horse", "rejected"),
        ("apikey: abc; secret: def; depth: 5", "def", "depth: 5"),
        ('{"op":"login","args":[{"apiKey":"k-1","passphrase":"p w","sign":"s="}]}', "p w", '"op":"login"'),
        ('{"listenKey": "pqia91", "code": -1125}', "pqia91", '"code": -1125'),
        (r"{\"secretKey\": \"in\\\"ner\", \"n\": 1}", "ner", r"\"n\": 1"),
        ('{"token": 12345678, "n": 1}', "12345678", '"n": 1'),
        (f"login with {JWT} failed", JWT, "login with *** failed"),
        (f"login with {JWT[:60]} cut", JWT[:60], "cut"),
        ("key 0123456789abcdef0123456789abcdef01234567 refused", "0123456789abcdef", "refused"),
        ("key 3f1c9a52-77aa-4b1e-9f10-0a1b2c3d4e5f refused", "3f1c9a52", "refused"),
        ("value aGVsbG8gd29ybGQ/IHRoaXMgaXM+IHNlY3JldCAx== sent", "aGVsbG8", "sent"),
        ("wss://acme.test/ws/pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19", "pqia91ma", "acme.test/ws/"),
        ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQ\n-----END EC PRIVATE KEY----- bad", "MHcCAQ", "bad"),
        (f"cannot read {Path.home()}/config.toml", str(Path.home()) + "/", "~/config.toml"),
        ("cannot read /home/somebody/config.toml", "somebody", "~/config.toml"),
        (r"cannot read C:\Users\Some.Body\config.toml", "Body", r"~\config.toml"),
    ],
)
def test_what_looks_like_a_secret_goes_and_the_rest_stays(text: str, secret: str, kept: str) -> None:
    sanitized = _sanitize_error(text)
    assert secret not in sanitized
    assert kept in sanitized


@pytest.mark.parametrize(
    "text",
    [
        "the book of BTC-USD-20261225-50000-C is broken: expected 7, got 9",
        "ConnectionResetError: [Errno 104] Connection reset by peer",
        "wss://acme.test:8443 closed the connection: code 1008 (policy violation)",
        "/usr/lib/python3.11/site-packages/websockets/asyncio/connection.py line 12",
        "data/acme/orderbook_snapshot/date=2026-12-25/part-000000000123.parquet",
        "data/acme/BTC-USDT-PERP/2026-12-25/part-000001 of raw/Some/ETH-USD-50000-C",
        "test_a_plugin_that_raises_in_its_parse_hook_2 took 1700000000000000000 ns",
        "trade 99999999999999999999999999999 of ETH-USDT at 2026-11-22T17:15:06.000000Z",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert _sanitize_error(text) == text


def test_an_exception_begins_with_its_type_and_fills_one_bounded_line() -> None:
    text = _sanitize_error(ValueError("first\nsecond\r\n\tthird\x00" + " word" * 1000))
    assert text.startswith("ValueError: first second third word")
    assert len(text) == MAX_LENGTH
    assert _sanitize_error(KeyError()) == "KeyError"


def test_an_exception_that_cannot_be_printed() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert "OddError" in _sanitize_error(OddError())


def test_an_http_clients_exception_tells_type_and_host_only() -> None:
    request = httpx.Request("GET", "https://u:p@acme.test/private/path?signature=abc")
    assert _sanitize_error(httpx.ConnectTimeout("GET /private/path abc", request=request)) == (
        "ConnectTimeout from acme.test"
    )
    assert _sanitize_error(httpx.ReadError("raw text abc")) == "ReadError"


secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=4, max_size=40)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@given(secrets, texts, texts, st.integers(0, 3))
def test_a_registered_secret_never_survives(secret: str, before: str, after: str, repeats: int) -> None:
    redactor = Redactor([secret])
    raw = secret.encode()
    forms = [
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
        raw.hex(),
        json.dumps(secret)[1:-1],
        repr(secret)[1:-1],
    ]
    for form in forms:
        text = before + form + after + form * repeats
        for shown in (redactor.sanitize(text), redactor.sanitize(ValueError(text)), redactor.mask(text)):
            assert form not in shown
        assert form not in str(redactor.redact({"a": [text, {"b": (text,)}]}).get("a", [""])[0])


@given(secrets, st.binary(max_size=20), st.binary(max_size=20))
def test_nor_inside_longer_base64(secret: str, before: bytes, after: bytes) -> None:
    assume(len(secret.encode()) >= 8)
    text = base64.b64encode(before + secret.encode() + after).decode()
    shown = Redactor([secret]).mask(text)
    assert "***" in shown


@given(st.text(max_size=300))
def test_any_text_becomes_one_short_line(text: str) -> None:
    shown = _sanitize_error(text)
    assert len(shown) <= MAX_LENGTH
    assert "\n" not in shown
    assert "\r" not in shown


def test_a_secret_behind_very_much_text_is_not_cut_into_view() -> None:
    redactor = Redactor(["swordfish-swordfish"])
    for length in range(19_980, 20_001):
        assert "sword" not in redactor.sanitize("https://a.test/?" + "x" * (length - 17) + " swordfish-swordfish")


def test_a_mask_does_not_complete_another_secret() -> None:
    assert Redactor(["swordfish", "x***y", "p***q"]).mask("pxswordfishyq") == "***"


def test_a_short_secret_is_masked_where_it_is_a_word() -> None:
    assert Redactor(["ab", "", "*"]).mask("ab is in cabin, ab!") == "*** is in cabin, ***!"


@pytest.mark.parametrize("text", ["token" * 4000, "a=" * 10_000, '"secret": "' + "\\" * 20_000, "eyJ" + "a." * 9000])
def test_hostile_text_takes_no_long_time(text: str) -> None:
    # Bounded work is the claim; a pattern that backtracks exponentially would not come back at all.
    assert len(_sanitize_error(text)) <= MAX_LENGTH


def test_the_structlog_processor_masks_however_deep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "default_redactor", Redactor(["xyzzy-xyzzy"]))
    error = ValueError("with xyzzy-xyzzy")
    event = redact_processor(
        None,
        "info",
        {
            "event": "got xyzzy-xyzzy",
            "n": 5,
            "ok": True,
            "price": Decimal("1.5"),
            "nested": {"list": ["a", ("xyzzy-xyzzy", b"xyzzy-xyzzy")], "api_key": "anything"},
            "password": "short",
            "error": error,
            "exc_info": error,
        },
    )
    assert event["exc_info"] is error
    del event["exc_info"]
    assert "xyzzy" not in repr(event)
    assert event == {
        "event": "got ***",
        "n": 5,
        "ok": True,
        "price": "1.5",
        "nested": {"list": ["a", ("***", "***")], "api_key": "***"},
        "password": "***",
        "error": "ValueError: with ***",
    }


def test_endless_nesting_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert Redactor().redact(endless)


def test_of_secrets_of_the_moment_the_latest_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "MAX_PASSING", 3)
    redactor = Redactor(["swordfish-for-good"])
    for number in (1, 2, 3, 1, 4):
        redactor.add_secret(f"token of dial {number}", passing=True)
    assert redactor.mask("token of dial 2, token of dial 3") == "token of dial 2, ***"
    assert redactor.mask("token of dial 1, token of dial 4, swordfish-for-good") == "***, ***, ***"
