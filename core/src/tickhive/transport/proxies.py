"""Which proxy a connection takes, and what may be said of it: never user or password."""

from __future__ import annotations

import functools
import ipaddress
from typing import Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from tickhive.redaction import add_secret

_NAMES: Final = {
    "ws": ("ws", "socks", "https", "http", "all"),
    "wss": ("wss", "socks", "https", "all"),
    "http": ("http", "all"),
    "https": ("https", "all"),
}
"""Whose proxy an address takes, by its scheme, in the order of preference; RFC 6455 says so for WebSockets."""

NO_SOCKS: Final = "a SOCKS proxy needs more packages: install tickhive[socks]"

_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}


def proxy_for(url: str, proxy: str | None) -> str:
    """The proxy that leads to ``url``: ``proxy``, or for None what the environment says; "" for none.

    The environment is not asked for an address of this machine, which no proxy can reach for us.
    """
    if proxy is None:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if is_this_machine(host) or proxy_bypass(host):
            return ""
        known = getproxies()
        name = next((name for name in _NAMES.get(parts.scheme, ()) if known.get(name)), None)
        proxy = known[name] if name is not None else ""
        if name == "socks":
            proxy = proxy.replace("http://", "socks5h://", 1)  # so it comes from a system's settings
    if proxy:
        _keep_secret(proxy)
    return proxy


def shown(proxy: str) -> str:
    """What may be shown of a proxy: scheme, host and port."""
    try:
        parts = urlsplit(proxy)
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return "the proxy"
    host = f"[{parts.hostname}]" if parts.hostname and ":" in parts.hostname else parts.hostname
    return f"the proxy {parts.scheme}://{host}:{port}" if host else "the proxy"


def turned_away(proxy: str, status: int | None) -> str:
    """What is said of a proxy that wants another user or password, or another one at all."""
    code = f" ({status})" if status is not None else ""
    have = urlsplit(proxy).username is not None
    return f"{shown(proxy)} {'refused user or password' if have else 'asks for user and password'}{code}"


def is_this_machine(host: str) -> bool:
    """Whether a host is surely this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@functools.cache
def _keep_secret(proxy: str) -> None:
    try:
        password = urlsplit(proxy).password or ""
    except ValueError:
        return
    add_secret(password)
    add_secret(unquote(password))
