"""Asks venues by REST: under their limits, with a fresh signature for every attempt, patiently and within bounds.

It stands on the connection pool of ``httpx`` rather than on its client: no cookies are kept, no redirect carries a
signature elsewhere, and no log line quotes an address with its query. ``httpx`` is imported by the first request.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tickhive.budget import Backoff, Budget, Random
from tickhive.clock import Clock
from tickhive.errors import FetchError
from tickhive.plugin.contract import Answer, Credentials, Fetch, Rejected
from tickhive.redaction import _sanitize_error, add_secret
from tickhive.transport.proxies import NO_SOCKS, proxy_for, shown, turned_away
from tickhive.transport.retry import retry_after_seconds

if TYPE_CHECKING:
    import httpx

MAX_BODY = 64 * 1024 * 1024
"""Bytes of one answer's body, after decompression."""

_QUOTED = 200
_WHOLE_ATTEMPT = 4.0
_PORTS = {"http": 80, "https": 443}
_UNAUTHORISED = 401
_SLOW_DOWN = frozenset({418, 429})
_TRY_AGAIN = frozenset({408, 425})
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "gzip, deflate", "User-Agent": "tickhive"}


class Fetcher:
    """Carries out the Fetches of one exchange.

    Every attempt waits for each of the Fetch's ``costs`` in the ``budget``, then asks ``sign`` (Fetch to Fetch) for
    what to send. Failing connections, timeouts and 5xx are tried again up to ``attempts`` times in all, after a
    ``Backoff``. 429 and 418 (and 5xx that say so) are tried again after what ``Retry-After`` asks, for which time the
    scopes of ``costs`` are closed to everybody. ``judge`` says of any other error what it means, None: what the status
    says. A POST is repeated like the rest: venues ask for tokens that way.

    ``timeout_seconds`` bounds each step of an attempt (connecting, each read), four times that the whole attempt. A
    wait longer than ``patience_seconds`` is left to the caller: the error tells ``retry_after``. With ``credentials``
    no error names more than the host. ``proxy``: an address, "" for none, None for what the environment says.
    """

    def __init__(
        self,
        budget: Budget,
        clock: Clock,
        *,
        sign: Callable[[Fetch], Fetch] | None = None,
        judge: Callable[[Fetch, Answer], Rejected | None] | None = None,
        credentials: Credentials | None = None,
        timeout_seconds: float = 15.0,
        proxy: str | None = None,
        attempts: int = 5,
        max_body: int = MAX_BODY,
        patience_seconds: float = 60.0,
        rng: Random | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        if attempts < 1:
            raise ValueError(f"attempts: expected at least 1, got {attempts}")
        self.requests = 0
        """Attempts made."""
        self.retries = 0
        """Attempts beyond the first of their Fetch."""
        self.failures = 0
        """Fetches that ended with an error."""
        self._budget = budget
        self._clock = clock
        self._sign = sign
        self._judge = judge
        self._private = credentials is not None
        self._timeout_seconds = timeout_seconds
        self._proxy = proxy
        self._attempts = attempts
        self._max_body = max_body
        self._patience_seconds = patience_seconds
        self._rng = rng
        self._ssl_context = ssl_context
        self._pools: dict[str, httpx.AsyncHTTPTransport] = {}
        self._opening = asyncio.Lock()
        self._closed = False
        for secret in (credentials.key, credentials.secret, credentials.passphrase) if credentials else ():
            add_secret(secret)

    async def fetch(self, fetch: Fetch) -> Answer:
        """Ask, and answer what came back with a status of 2xx. Raises ``FetchError``."""
        try:
            return await self._try(fetch)
        except FetchError:
            self.failures += 1
            raise

    async def close(self) -> None:
        """Close the connections that are kept; running requests fail."""
        self._closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    def status(self) -> dict[str, int]:
        """``requests``, ``retries`` and ``failures`` so far."""
        return {"requests": self.requests, "retries": self.retries, "failures": self.failures}

    async def _try(self, fetch: Fetch) -> Answer:
        backoff = Backoff(rng=self._rng)
        for attempt in range(1, self._attempts + 1):
            for scope, weight in fetch.costs.items():
                await self._budget.acquire(scope, weight)
            try:
                return await self._ask(fetch)
            except FetchError as error:
                if not error.retryable:
                    raise
                wait_seconds = backoff.next()
                if error.retry_after is not None:
                    wait_seconds += error.retry_after
                if error.status in _SLOW_DOWN:
                    for scope in fetch.costs:
                        self._budget.penalise(scope, wait_seconds)
                if attempt == self._attempts or (error.retry_after or 0.0) > self._patience_seconds:
                    raise
            self.retries += 1
            await self._clock.sleep(wait_seconds)
        raise AssertionError("unreachable")

    async def _ask(self, fetch: Fetch) -> Answer:
        """One attempt."""
        name = self._name(fetch)
        signed = self._sign(fetch) if self._sign is not None else fetch
        proxy = proxy_for(signed.url, self._proxy)
        pool = await self._pool(proxy, name)
        self.requests += 1
        try:
            async with asyncio.timeout(self._timeout_seconds * _WHOLE_ATTEMPT):
                status, headers, body = await self._exchange(pool, signed, name)
        except FetchError:
            raise
        except Exception as error:
            # Not chained: the library's texts may quote what was sent.
            raise self._failed(name, error, proxy) from None
        if 200 <= status < 300:
            return Answer(status, body, headers)
        if status == 407 and proxy:
            raise FetchError(f"{name}: {turned_away(proxy, status)}", retryable=False)
        verdict = self._judge(fetch, Answer(status, body, headers)) if self._judge is not None else None
        raise _refused(name, status, headers, body, verdict, signed=signed != fetch)

    async def _exchange(
        self, pool: httpx.AsyncHTTPTransport, fetch: Fetch, name: str
    ) -> tuple[int, dict[str, str], bytes]:
        import httpx

        steps = dict.fromkeys(("connect", "read", "write", "pool"), self._timeout_seconds)
        given = {key.lower() for key in fetch.headers}
        defaults = {key: value for key, value in _HEADERS.items() if key.lower() not in given}
        request = httpx.Request(
            fetch.method,
            fetch.url,
            headers={**defaults, **fetch.headers},
            content=fetch.body or None,
            extensions={"timeout": steps},
        )
        response = await pool.handle_async_request(request)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._max_body:
                    raise FetchError(
                        f"{name} answered more than {self._max_body} bytes",
                        status=response.status_code,
                        retryable=False,
                    )
        finally:
            await response.aclose()
        headers = {key.lower(): value for key, value in response.headers.items()}
        return response.status_code, headers, bytes(body)

    async def _pool(self, proxy: str, name: str) -> httpx.AsyncHTTPTransport:
        async with self._opening:
            if self._closed:
                raise FetchError(f"{name} was not asked: the fetcher is closed", retryable=False)
            found = self._pools.get(proxy)
            if found is None:
                # In a thread: importing httpx and reading the trusted certificates would stop the loop for a while.
                try:
                    found = await asyncio.to_thread(_open_pool, proxy, self._ssl_context)
                except (ImportError, ValueError) as error:
                    told = NO_SOCKS if isinstance(error, ImportError) else "the proxy's address cannot be used"
                    raise FetchError(f"{name}: {told}", retryable=False) from None
                self._pools[proxy] = found
        return found

    def _name(self, fetch: Fetch) -> str:
        """What an error may show of a Fetch: never the query, and with credentials not even the path."""
        try:
            parts = urlsplit(fetch.url)
            port = parts.port or _PORTS[parts.scheme]
        except (ValueError, KeyError):
            port = 0
        if not port or not parts.hostname:
            raise FetchError(
                "the address of a Fetch must begin with http:// or https:// and a host", retryable=False
            ) from None
        host = parts.hostname if port == _PORTS[parts.scheme] else f"{parts.hostname}:{port}"
        return f"{fetch.method} {host}" if self._private else f"{fetch.method} {host}{parts.path}"

    def _failed(self, name: str, error: Exception, proxy: str) -> FetchError:
        import httpx

        roots = _causes(error)
        if any(isinstance(root, socket.gaierror) for root in roots):
            return FetchError(f"{name}: the name of the host was not found; is this machine online?")
        for root in roots:
            if isinstance(root, ssl.SSLCertVerificationError):
                return FetchError(f"{name}: the TLS certificate is not trusted: {_sanitize_error(root.verify_message)}")
        if any(isinstance(root, ssl.SSLError) for root in roots):
            return FetchError(f"{name}: TLS failed")
        match error:
            case TimeoutError() | httpx.TimeoutException():
                return FetchError(f"{name} did not answer within {self._timeout_seconds:g} s")
            case httpx.ProxyError():
                return _proxy_failed(name, str(error), proxy)
            case httpx.ConnectError() if proxy and _never_connected(roots):
                return FetchError(f"{name}: {shown(proxy)} cannot be reached")
            case httpx.ConnectError():
                return FetchError(f"{name} cannot be reached: the connection was refused or there is no way there")
            case httpx.NetworkError() | httpx.RemoteProtocolError() | OSError():
                return FetchError(f"{name} broke off before its answer was complete")
            case httpx.DecodingError():
                return FetchError(f"{name} sent a body that cannot be decompressed")
            case httpx.InvalidURL() | httpx.UnsupportedProtocol() | httpx.LocalProtocolError() | ValueError():
                return FetchError(f"{name} cannot be asked: the request is not valid HTTP", retryable=False)
        return FetchError(f"{name} failed: {type(error).__name__}")


def _refused(
    name: str, status: int, headers: dict[str, str], body: bytes, verdict: Rejected | None, *, signed: bool
) -> FetchError:
    retry_after = retry_after_seconds(headers.get("retry-after"), headers.get("date"))
    slow_down = status in _SLOW_DOWN
    retryable = slow_down or status >= 500 or status in _TRY_AGAIN
    unauthorised = signed and status == _UNAUTHORISED
    words = body[: _QUOTED * 50].decode("utf-8", "replace")
    if verdict is not None:
        retryable = slow_down or verdict.kind in ("rate", "retry")
        unauthorised = verdict.kind == "credentials"
        words = verdict.reason
    # Redacted before it is cut, or half a secret would pass.
    said = _sanitize_error(words)[:_QUOTED]
    wait = f", asking to wait {retry_after:g} s" if retry_after is not None else ""
    return FetchError(
        f"{name} answered {status}{wait}{f': {said}' if said else ''}",
        status=status,
        retryable=retryable,
        retry_after=retry_after,
        unauthorised=unauthorised,
    )


def _proxy_failed(name: str, said: str, proxy: str) -> FetchError:
    status = int(said[:3]) if said[:3].isdecimal() else None
    if status in (401, 407) or "password" in said or "ACCEPTABLE METHODS" in said:
        return FetchError(f"{name}: {turned_away(proxy, status)}", retryable=False)
    return FetchError(f"{name}: {shown(proxy)} did not connect us{f' (status {status})' if status else ''}")


def _never_connected(causes: list[BaseException]) -> bool:
    return any(isinstance(cause, OSError) and not isinstance(cause, ssl.SSLError) for cause in causes)


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    following: list[BaseException | None] = [error]
    while following and len(found) < 20:
        each = following.pop()
        if each is None or each in found:
            continue
        found.append(each)
        following += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            following += each.exceptions
    return found


def _open_pool(proxy: str, ssl_context: ssl.SSLContext | None) -> httpx.AsyncHTTPTransport:
    import httpx

    verify: Any = True if ssl_context is None else ssl_context
    return httpx.AsyncHTTPTransport(verify=verify, http2=False, proxy=proxy or None)
