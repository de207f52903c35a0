"""Data comes through real HTTP and SOCKS proxies, WebSocket and REST alike, and their troubles are told."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from tickhive.budget import Budget
from tickhive.clock import SystemClock
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import ConnectionFailed, FetchError
from tickhive.events import Ticker, Trade
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.fetching import Fetcher
from tickhive.plugin import ExchangeSettings, Fetch
from tickhive.transport import open_connection

USER, PASSWORD = "reader", "s3cr3t-p4ss"
WRONG = "wr0ng-p4ss"
KINDS = {"http": "tinyproxy", "socks5h": "microsocks"}


@define
class Proxy:
    """A proxy of this machine as a process of its own; ``log`` says whom it connected."""

    kind: str
    folder: Path
    login: bool
    port: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def url(self, user: str = USER, password: str = PASSWORD, *, login: bool | None = None) -> str:
        wanted = self.login if login is None else login
        return f"{self.kind}://{f'{user}:{password}@' if wanted else ''}127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.folder / "proxy.log"

    def connected(self) -> int:
        """How often it has connected somebody to a server."""
        words = b"Established connection" if self.kind == "http" else b"connected to"
        return self.log.read_bytes().count(words)

    async def start(self) -> None:
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        if self.kind == "http":
            config = self.folder / "tinyproxy.conf"
            lines = [f"Port {self.port}", "Listen 127.0.0.1", "MaxClients 20", "Timeout 60", "LogLevel Connect"]
            lines += [f"BasicAuth {USER} {PASSWORD}"] if self.login else []
            config.write_text("\n".join(lines) + "\n")
            command = ["tinyproxy", "-d", "-c", str(config)]
        else:
            command = ["microsocks", "-i", "127.0.0.1", "-p", str(self.port)]
            command += ["-u", USER, "-P", PASSWORD] if self.login else []
        with self.log.open("ab") as log:
            self.process = await asyncio.to_thread(subprocess.Popen, command, stdout=log, stderr=log)
        async with asyncio.timeout(20):
            while not await self.answers():
                assert self.process.poll() is None, self.log.read_text()
                await asyncio.sleep(0.02)

    async def answers(self) -> bool:
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        return False

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait(20)
            self.process = None


OPEN = [pytest.param((kind, False), id=kind) for kind in KINDS]
GUARDED = [pytest.param((kind, True), id=f"{kind}-login") for kind in KINDS]


@pytest.fixture(params=OPEN + GUARDED)
async def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxy]:
    kind, login = request.param
    if shutil.which(KINDS[kind], path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin") is None:
        pytest.skip(f"{KINDS[kind]} is not installed (Debian, Ubuntu: sudo apt install {KINDS[kind]})")
    if kind == "socks5h":
        pytest.importorskip("python_socks", reason="needs tickhive[socks]")
        pytest.importorskip("socksio", reason="needs tickhive[socks]")
    running = Proxy(kind, tmp_path, login)
    await running.start()
    yield running
    running.stop()


def collector(stack: Any, venue: Any, proxy: str) -> PluginCollector:
    config = ExchangeCollectorConfig(
        exchange="acme", symbol="BTC-USDT", data_types=["trade", "ticker"], settings=venue.settings, proxy=proxy
    )
    return PluginCollector(stack, config, ExchangeSettings(**venue.settings))


async def until(predicate: Any) -> None:
    async with asyncio.timeout(20):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_sockets_and_requests_go_through_it_and_come_back_when_it_does(
    proxy: Proxy, stack: Any, venue: Any
) -> None:
    it = collector(stack, venue, proxy.url())
    seen: list[Any] = []
    it.add_data_callback(None, seen.append)
    await it.start()
    try:
        await venue.until_requests(1)
        await venue.send(e="trade", s="btcusdt", n=1, p="5", q="1")
        await until(lambda: {Trade, Ticker} <= {type(event) for event in seen})
        assert proxy.connected() >= 2, "one for the socket, one for the requests"

        proxy.stop()
        await until(lambda: not it.get_health_status()["healthy"])
        assert PASSWORD not in str(it.get_status())
        reached = proxy.connected()
        await proxy.start()
        await venue.until_requests(2)
        seen.clear()
        await venue.send(e="trade", s="btcusdt", n=2, p="5", q="1")
        await until(lambda: {Trade, Ticker} <= {type(event) for event in seen})
        assert proxy.connected() > reached
    finally:
        await it.stop()


def ignore(frames: list[bytes]) -> None:
    raise AssertionError(frames)


@pytest.mark.parametrize("proxy", GUARDED, indirect=True)
@pytest.mark.parametrize("user", [USER, "somebody"])
async def test_a_wrong_password_is_told_without_it(proxy: Proxy, venue: Any, user: str) -> None:
    for wrong, words in ((proxy.url(user, WRONG), "refused user or password"), (proxy.url(login=False), "asks for")):
        with pytest.raises(ConnectionFailed) as failed:
            await open_connection(f"{venue.settings['url']}/feed", on_frames=ignore, proxy=wrong)
        assert f"the proxy {proxy.kind}://127.0.0.1:{proxy.port} {words}" in str(failed.value)
        fetcher = Fetcher(Budget((), SystemClock()), SystemClock(), proxy=wrong, attempts=1)
        with pytest.raises(FetchError) as refused:
            await fetcher.fetch(Fetch(f"https://127.0.0.1:{venue.port}/ticker"))
        await fetcher.close()
        assert words in str(refused.value)
        assert not refused.value.retryable
        for error in (failed.value, refused.value):
            assert WRONG not in str(error)
            assert error.__cause__ is None
    assert proxy.connected() == 0


async def test_a_proxy_that_is_down_or_finds_no_way_is_named(proxy: Proxy, unused_tcp_port: int) -> None:
    fetcher = Fetcher(Budget((), SystemClock()), SystemClock(), proxy=proxy.url(), attempts=1)
    for words in ("did not connect us", "cannot be reached"):
        with pytest.raises(ConnectionFailed) as failed:
            await open_connection(f"ws://127.0.0.1:{unused_tcp_port}/", on_frames=ignore, proxy=proxy.url())
        with pytest.raises(FetchError) as refused:
            await fetcher.fetch(Fetch(f"https://127.0.0.1:{unused_tcp_port}/"))
        for error in (failed.value, refused.value):
            assert f"the proxy {proxy.kind}://127.0.0.1:{proxy.port} {words}" in str(error)
            assert PASSWORD not in str(error)
        assert not failed.value.fatal
        assert refused.value.retryable
        proxy.stop()
    await fetcher.close()
