"""Opens a WebSocket, or says in plain words why it could not be opened."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from tickhive.errors import ConnectionFailed
from tickhive.redaction import _sanitize_error
from tickhive.transport.connection import Connection, Mode, OnFrames
from tickhive.transport.proxies import NO_SOCKS, proxy_for, shown, turned_away
from tickhive.transport.retry import retry_after_seconds

if TYPE_CHECKING:
    from tickhive.transport.links import LibraryLink

_DEFAULT_PORTS = {"ws": 80, "wss": 443}
_PROXY_LOGIN = frozenset({401, 407})
_HOPELESS_STATUSES = frozenset({400, 401, 404, 405, 410, 451, 501})


async def open_connection(
    url: str,
    *,
    on_frames: OnFrames,
    headers: Mapping[str, str] | None = None,
    max_size: int = 4 * 1024 * 1024,
    timeout_seconds: float = 10.0,
    proxy: str | None = None,
    mode: Mode = "fast",
    ping: float | None = None,
    on_pong: Callable[[], object] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    compression: bool = False,
    close_timeout_seconds: float = 5.0,
) -> Connection:
    """Open a WebSocket at ``url`` (ws:// or wss://).

    ``max_size`` bounds one message in bytes: a longer one closes the connection with 1009, refused by its header alone.
    ``timeout_seconds`` bounds everything up to the finished handshake. ``proxy`` is an http:// or socks5h:// address,
    "" forbids any, None takes what the environment says (never for an address of this machine). ``ping`` makes the
    library ping every so many seconds and cut the line when no pong comes within as many more; None leaves signs of
    life to the caller. ``ssl_context`` replaces the system's trust for wss://. ``compression`` offers deflate, which
    costs far more CPU than the bytes it saves are worth on most lines. Redirects are not followed: they would carry
    ``headers`` elsewhere.

    Raises ``ConnectionFailed``, whose text names host and port and never query strings or headers.
    """
    peer = _peer_of(url)
    connection = Connection(peer, on_frames, on_pong)
    link = await _dial(
        url,
        connection,
        mode,
        {
            "additional_headers": dict(headers) if headers else None,
            "compression": "deflate" if compression else None,
            "proxy": proxy_for(url, proxy) or None,
            "open_timeout": timeout_seconds,
            "ping_interval": ping,
            "ping_timeout": ping,
            "close_timeout": close_timeout_seconds,
            "max_size": max_size,
            "logger": _silent_logger(),
            "user_agent_header": "tickhive",
            **({"ssl": ssl_context} if ssl_context is not None and url.startswith("wss") else {}),
        },
    )
    if mode == "plain":
        link.start()
    # The task that awaits us goes on within this turn of the loop, or in the next where we are a task of our own.
    loop = asyncio.get_running_loop()
    loop.call_soon(loop.call_soon, connection.release)
    return connection


async def _dial(url: str, connection: Connection, mode: Mode, options: dict[str, Any]) -> Any:
    from tickhive.transport.links import FastLink, PlainLink, StraightConnect

    link_type: type[LibraryLink] = PlainLink if mode == "plain" else FastLink
    create: Any = functools.partial(link_type, owner=connection, max_size=options["max_size"])
    try:
        return await StraightConnect(url, create_connection=create, **options)
    except Exception as error:
        # Nobody will look at it any more; without a result it would be a future that never resolves.
        connection.closed.cancel()
        _raise_failed(connection.peer, error, options["open_timeout"], options["proxy"])


def _raise_failed(peer: str, error: Exception, timeout_seconds: float, proxy: str | None) -> NoReturn:
    failed = (_explain_proxy(peer, error, proxy) if proxy else None) or _explain(peer, error, timeout_seconds)
    # Not chained: the text of the library's exceptions may quote the address with its query.
    raise failed from None


def _explain_proxy(peer: str, error: Exception, proxy: str) -> ConnectionFailed | None:
    """What the proxy has to do with it; None when it is not the proxy's."""
    from websockets.exceptions import InvalidProxy, InvalidProxyStatus, ProxyError

    match error:
        case InvalidProxy():
            return ConnectionFailed(f"{peer}: the proxy's address cannot be used", fatal=True)
        case InvalidProxyStatus():
            status = error.response.status_code
            if status in _PROXY_LOGIN:
                return ConnectionFailed(f"{peer}: {turned_away(proxy, status)}")
            return ConnectionFailed(f"{peer}: {shown(proxy)} did not connect us (status {status})")
        case ProxyError():
            said = str(error.__cause__)
            if "authentication" in said:
                return ConnectionFailed(f"{peer}: {turned_away(proxy, None)}")
            return ConnectionFailed(f"{peer}: {shown(proxy)} did not connect us")
        case ImportError():
            return ConnectionFailed(f"{peer}: {NO_SOCKS}", fatal=True)
        case socket.gaierror():
            return ConnectionFailed(f"{peer}: the name of {shown(proxy)} was not found")
        case OSError() if not isinstance(error, TimeoutError | ssl.SSLError):
            return ConnectionFailed(f"{peer}: {shown(proxy)} cannot be reached")
    return None


def _explain(peer: str, error: Exception, timeout_seconds: float) -> ConnectionFailed:
    from websockets.exceptions import InvalidHandshake, InvalidStatus, InvalidURI

    match error:
        case InvalidStatus():
            return _refused(peer, error)
        case TimeoutError():
            return ConnectionFailed(f"{peer} did not answer within {timeout_seconds:g} s")
        case socket.gaierror():
            host = urlsplit(peer).hostname
            return ConnectionFailed(f"{peer}: the name {host} was not found; is it right, and this machine online?")
        case ssl.SSLCertVerificationError():
            fault = _sanitize_error(error.verify_message)
            return ConnectionFailed(f"{peer}: its TLS certificate is not trusted: {fault}")
        case ssl.SSLError():
            return ConnectionFailed(f"{peer}: TLS failed: {_sanitize_error(error.reason or type(error).__name__)}")
        case ConnectionRefusedError():
            return ConnectionFailed(f"{peer} refused the connection: nothing listens on this port")
        case InvalidURI():
            return ConnectionFailed(f"{peer} is no WebSocket address", fatal=True)
        case InvalidHandshake():
            return ConnectionFailed(f"{peer} did not answer as a WebSocket server does ({_handshake_fault(error)})")
        case OSError():
            return ConnectionFailed(f"{peer} cannot be reached: {_system_reason(error)}")
        case EOFError():
            return ConnectionFailed(f"{peer} hung up during the handshake")
    return ConnectionFailed(f"{peer} could not be opened: {_sanitize_error(error)}")


def _refused(peer: str, error: Any) -> ConnectionFailed:
    response = error.response
    status: int = response.status_code
    retry_after = retry_after_seconds(response.headers.get("Retry-After"), response.headers.get("Date"))
    phrase = _sanitize_error(response.reason_phrase or "")
    wait = f"; it asks to wait {retry_after:g} s" if retry_after is not None else ""
    return ConnectionFailed(
        f"{peer} refused the WebSocket with HTTP status {status}{f' ({phrase})' if phrase else ''}{wait}",
        status=status,
        retry_after=retry_after,
        fatal=status in _HOPELESS_STATUSES or 300 <= status < 400,
    )


def _handshake_fault(error: Exception) -> str:
    cause = error.__cause__
    return "it hung up" if isinstance(cause, EOFError) else type(error).__name__


def _system_reason(error: OSError) -> str:
    # Where a name has several addresses asyncio joins the texts of several errors into one without a number.
    if error.errno is None and "Connect call failed" in str(error):
        return "none of its addresses accepts connections"
    return _sanitize_error(error.strerror or type(error).__name__)


def _peer_of(url: str) -> str:
    """Scheme, host and port of an address; what may be shown of it."""
    try:
        parts = urlsplit(url)
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
    except (ValueError, KeyError):
        port = 0
    if not port or not parts.hostname:
        raise ConnectionFailed(
            "the address is no WebSocket address; it must begin with ws:// or wss:// and a host", fatal=True
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


@functools.cache
def _silent_logger() -> logging.Logger:
    """The library logs frames, headers and addresses when asked to debug: never into anybody's log."""
    logger = logging.Logger("tickhive.transport.websockets", level=logging.CRITICAL + 1)
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    logger.disabled = True
    return logger
