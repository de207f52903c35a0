"""Which proxy an address takes, and what is shown of it."""

from __future__ import annotations

import pytest

from tickhive.redaction import _sanitize_error
from tickhive.transport.proxies import proxy_for, shown, turned_away


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http", "https", "ws", "wss", "socks", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)


@pytest.mark.parametrize(
    ("environment", "url", "proxy"),
    [
        ({}, "wss://venue.test", ""),
        ({"https": "http://p:1"}, "wss://venue.test", "http://p:1"),
        ({"https": "http://p:1", "wss": "http://q:2"}, "wss://venue.test", "http://q:2"),
        ({"http": "http://p:1"}, "wss://venue.test", ""),
        ({"http": "http://p:1"}, "ws://venue.test", "http://p:1"),
        ({"https": "http://p:1"}, "https://venue.test/x", "http://p:1"),
        ({"all": "socks5h://p:1"}, "wss://venue.test", "socks5h://p:1"),
        ({"all": "socks5h://p:1"}, "https://venue.test", "socks5h://p:1"),
        ({"socks": "http://p:1"}, "wss://venue.test", "socks5h://p:1"),
        ({"all": "http://p:1", "no": "venue.test"}, "wss://venue.test", ""),
        ({"all": "http://p:1"}, "ws://127.0.0.1:9", ""),
        ({"all": "http://p:1"}, "http://localhost:9", ""),
    ],
)
def test_the_environment(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], url: str, proxy: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"{name}_proxy", value)
    assert proxy_for(url, None) == proxy
    assert proxy_for(url, "http://mine:3") == "http://mine:3"
    assert proxy_for(url, "") == ""


def test_its_password_is_kept_secret() -> None:
    proxy = proxy_for("wss://venue.test", "socks5h://me:pa%24%24w0rd@proxy.test:1080")
    assert shown(proxy) == "the proxy socks5h://proxy.test:1080"
    assert turned_away(proxy, 407) == "the proxy socks5h://proxy.test:1080 refused user or password (407)"
    assert "pa$$w0rd" not in _sanitize_error("somebody said pa$$w0rd")
    assert "pa%24%24w0rd" not in _sanitize_error("somebody said pa%24%24w0rd")


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://[::1]:8080", "the proxy http://[::1]:8080"),
        ("socks5://proxy.test", "the proxy socks5://proxy.test:1080"),
        ("http://proxy.test:none", "the proxy"),
        ("http://", "the proxy"),
    ],
)
def test_what_is_shown_of_it(proxy: str, words: str) -> None:
    assert shown(proxy) == words
