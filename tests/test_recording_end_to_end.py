"""A live session is recorded, and its replay hands out what the live collector did: event for event.

A recording differs from what was handed out live in one thing only: the replay hands out every instrument of the
lists it reads, a live collector those it was asked for.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tickhive import DataCollectionService, ExchangeCollectorConfig, ExchangeFactory, MarketEvent, ServiceConfig
from tickhive.cli.main import cli
from tickhive.digest import EventDigest
from tickhive.errors import CollectorError
from tickhive.events import Balance, BookSnapshot, Gap, InstrumentUpdate, Order, SubscriptionUpdate, Trade
from tickhive.plugin import Credentials, VenueOptions
from tickhive.recording import Line, Recorder, Replay, ReplayResult, read_recording
from tickhive.recording.cutting import Cut, cut_recording
from tickhive.simulation import VenueServer
from tickhive_okx.venue import OKXVenue
from tickhive_okx.venue_account import SimulatedAccount

SYMBOLS = ["BTC-USDT", "ETH-USDT"]
TYPES = ["trade", "orderbook", "ticker", "candle:1m"]
KEY, SECRET, PHRASE = "a-key-19d2c4", "a-secret-77ab01", "a-phrase-5e3f90"


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # what is awaited has no event of its own
            await asyncio.sleep(0.02)


def addresses(server: VenueServer) -> dict[str, Any]:
    return {"url": server.url, "rest_url": server.rest_url}


def collector(server: VenueServer, *, credentials: Credentials | None = None, **options: Any) -> Any:
    config = ExchangeCollectorConfig(
        exchange="okx",
        settings=addresses(server),
        account=credentials.account if credentials else None,
        **{"symbols": SYMBOLS, "data_types": TYPES, **options},
    )
    return ExchangeFactory.create_collector(config, credentials=credentials)


def replay(*paths: Path) -> tuple[ReplayResult, list[MarketEvent]]:
    events: list[MarketEvent] = []
    return Replay(paths, exchange="okx", on_events=events.extend).run(), events


def digest(events: list[MarketEvent]) -> str:
    found = EventDigest()
    found.extend([event for event in events if not isinstance(event, InstrumentUpdate)])
    return found.hexdigest()


def count(events: list[MarketEvent], kind: type) -> int:
    return sum(isinstance(event, kind) for event in events)


async def session(path: Path, *, cut: bool = False, move: bool = False, **options: Any) -> list[MarketEvent]:
    """What a collector hands out while it is recorded."""
    events: list[MarketEvent] = []
    venue = OKXVenue(VenueOptions(symbols=[*SYMBOLS, "BTC-USDT-PERP"], speed=5))
    with Recorder(path, max_bytes=options.pop("max_bytes", 1 << 30), flush_seconds=0.1) as recorder:
        async with VenueServer(venue) as server:
            collecting = collector(server, **options)
            collecting.add_tap(events.extend)
            collecting.record(recorder)
            await collecting.start()
            try:
                await until(lambda: count(events, Trade) > 60 and count(events, BookSnapshot) >= 2)
                if cut:
                    server.cut()
                    await until(lambda: sum(isinstance(e, Gap) and e.filled == "whole" for e in events) >= 2)
                if move:
                    await collecting.add(symbols=["BTC-USDT-PERP"])
                    await until(lambda: any(e.symbol == "BTC-USDT-PERP" for e in events if isinstance(e, Trade)))
                    await collecting.remove(symbols=["ETH-USDT"])
                    await collecting.restart()
                seen = len(events)
                await until(lambda: len(events) > seen + 100)
                status = collecting.get_status()["recording"]
            finally:
                await collecting.stop()
    assert status["dropped"] == status["withheld"] == 0
    assert recorder.status()["dropped"] == 0
    return events


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("quiet.jsonl.gz", {}),
        ("cut.jsonl", {"cut": True}),
        ("plain.jsonl", {"transport": "plain", "cut": True}),
        ("two.jsonl", {"redundancy": 2, "cut": True}),
        ("moved.jsonl", {"move": True}),
    ],
)
async def test_a_replay_hands_out_what_the_live_collector_did(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    live = await session(tmp_path / name, **options)
    result, replayed = replay(tmp_path / name)
    kinds = [(type(event).__name__, event.symbol) for event in live]
    again = [(type(e).__name__, e.symbol) for e in replayed if not isinstance(e, InstrumentUpdate)]
    assert again == kinds
    if "move" in options:
        # A change of what is collected is recorded a moment after it was made.
        live = [event for event in live if not isinstance(event, SubscriptionUpdate)]
        replayed = [event for event in replayed if not isinstance(event, SubscriptionUpdate)]
    assert digest(replayed) == digest(live)
    assert result.malformed == result.unknown == result.skipped == 0
    assert result.notes == []


def test_parts_are_replayed_as_one(tmp_path: Path) -> None:
    live = asyncio.run(session(tmp_path / "r.jsonl", cut=True, max_bytes=100_000))
    parts = sorted(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    assert len(parts) > 2
    assert digest(replay(*parts)[1]) == digest(live)


async def test_a_field_bug_becomes_a_fixture(tmp_path: Path) -> None:
    """Cut one symbol out of a recording: it replays to what that symbol's events were."""
    source, fixture = tmp_path / "field.jsonl", tmp_path / "fixture.jsonl.gz"
    await session(source, cut=True)
    result = cut_recording([source], fixture, Cut(symbols=["ETH-USDT"]), exchange="okx")
    assert result.kept < result.of * 0.7
    assert fixture.stat().st_size < source.stat().st_size / 5

    def of_eth(path: Path) -> list[MarketEvent]:
        wanted = (e for e in replay(path)[1] if e.symbol == "ETH-USDT" and not isinstance(e, InstrumentUpdate))
        return [event for event in wanted if type(event).__name__ != "SubscriptionUpdate"]

    assert of_eth(fixture) == of_eth(source)
    assert {event.symbol for event in replay(fixture)[1] if isinstance(event, Trade)} == {"ETH-USDT"}


async def test_two_collectors_into_one_recording(tmp_path: Path) -> None:
    """The second finds the instruments known; a recording that begins with it still gets them."""
    path = tmp_path / "r.jsonl"
    events: list[MarketEvent] = []
    async with VenueServer(OKXVenue(VenueOptions(symbols=SYMBOLS, speed=5))) as server:
        first, second = (collector(server, symbols=[symbol], data_types=["trade"]) for symbol in SYMBOLS)
        await first.start()
        with Recorder(path) as recorder:
            second.record(recorder)
            second.add_tap(events.extend)
            await second.start()
            await until(lambda: count(events, Trade) > 10)
            await second.stop()
        await first.stop()
    result, replayed = replay(path)
    assert result.instruments > 0
    assert digest(replayed) == digest(events)


async def test_without_a_recorder_nothing_stands_on_the_road_of_a_frame() -> None:
    async with VenueServer(OKXVenue(VenueOptions(symbols=SYMBOLS, speed=5))) as server:
        collecting = collector(server, data_types=["trade"])
        await collecting.start()
        [link] = collecting._connections.links
        assert link.leg._process == collecting.process
        assert link.leg._record is None
        assert collecting.get_status()["recording"] is None
        await collecting.stop()


# Accounts


async def account_session(path: Path, *, private: bool) -> tuple[list[MarketEvent], dict[str, Any]]:
    account = SimulatedAccount(KEY, SECRET, PHRASE)
    account.set_balance("USDT", "1000")
    order = account.place_order("BTC-USDT", "buy", "3", "50000")
    events: list[MarketEvent] = []
    venue = OKXVenue(VenueOptions(symbols=SYMBOLS, speed=5), accounts=[account])
    with Recorder(path, private=private) as recorder:
        async with VenueServer(venue) as server:
            collecting = collector(
                server,
                credentials=Credentials("main", KEY, SECRET, PHRASE),
                data_types=["trade", "balance", "order", "fill"],
            )
            collecting.add_tap(events.extend)
            collecting.record(recorder)
            await collecting.start()
            try:
                await until(lambda: count(events, Balance) and count(events, Order) and count(events, Trade) > 10)
                server.cut()
                account.fill(order, "1", quietly=True)
                await until(lambda: any(type(event).__name__ == "Fill" for event in events))
            finally:
                await collecting.stop()
    return events, recorder.status()


@pytest.mark.parametrize("private", [False, True])
async def test_no_secret_is_recorded(tmp_path: Path, private: bool) -> None:
    path = tmp_path / "r.jsonl"
    live, status = await account_session(path, private=private)
    text = path.read_text(encoding="utf-8")
    for secret in (KEY, SECRET, PHRASE, "login", "passphrase", "OK-ACCESS", "sign", "apiKey"):
        assert secret not in text
    lines = list(read_recording(path))
    assert {line.frame for line in lines if line.kind == "ws" and line.direction == "out"} == {b"***"}
    assert {line.kind for line in lines} >= {"connect", "carries", "ws", "http", "close", "note"}
    assert "tickhive-okx" in text.splitlines()[0], "the header names the packages"

    def told(line: Line) -> bool:
        return any(word in line.frame for word in (b'"balance_and_position"', b'"orders"', b'"account"', b"ordId"))

    told_of = [line for line in lines if line.direction == "in" and told(line)]
    replayed = replay(path)[1]
    assert [e for e in replayed if isinstance(e, Trade)] == [e for e in live if isinstance(e, Trade)]
    if private:
        assert told_of
        assert any("/orders" in line.url or "/fills" in line.url for line in lines if line.kind == "http")
        assert count(replayed, Balance) > 0
    else:
        assert status["withheld"] > 0
        assert told_of == []
        assert {line.kind for line in lines if "/private" in line.url} == {"connect", "close"}
        assert not {type(event).__name__ for event in replayed} & {"Balance", "Order", "Fill", "Position"}


# The command line and the service


def tickhive(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_record_cut_and_replay_by_command(tmp_path: Path, beside_us: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    server = beside_us.serve(OKXVenue(VenueOptions(symbols=SYMBOLS, speed=5)))
    config = Path("tickhive.toml")
    config.write_text(
        f'[exchanges.okx]\nurl = "{server.url}"\nrest_url = "{server.rest_url}"\n'
        '[[collectors]]\nexchange = "okx"\nsymbols = ["BTC-USDT", "ETH-USDT"]\ndata_types = ["trade", "orderbook"]\n'
    )
    config.chmod(0o600)
    run = ("run", "--config", "tickhive.toml", "--for", "2s", "--record", "field.jsonl.gz")
    command = [sys.executable, "-m", "tickhive.cli", *run]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert "lines into field.jsonl.gz" in done.stderr
    assert "field.jsonl.gz is there already" in str(tickhive(*run).exception)

    whole = json.loads(tickhive("replay", "field.jsonl.gz", "--exchange", "okx", "--json").stdout)["symbols"]["okx"]
    assert whole["BTC-USDT"]["trade"] > 10
    cut = tickhive("cut", "field.jsonl.gz", "--symbol", "ETH-USDT", "--to", "eth.jsonl", "--exchange", "okx")
    assert cut.exit_code == 0
    assert "digest" in cut.stdout
    fixture = json.loads(tickhive("replay", "eth.jsonl", "--exchange", "okx", "--json").stdout)["symbols"]["okx"]
    assert fixture["ETH-USDT"]["trade"] == whole["ETH-USDT"]["trade"]
    assert "trade" not in fixture.get("BTC-USDT", {})


def trades(path: Path, count: int) -> int:
    """A recording of a trade each second; answers the time of the first."""
    began = 1_795_000_000 * 10**9
    with Recorder(path) as recorder:
        for number in range(count):
            trade = {"instId": "BTC-USDT", "tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "ts": "1"}
            frame = json.dumps({"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [trade]})
            url = "wss://ws.okx.com:8443/ws/v5/public"
            recorder.write(began + number * 10**9, "ws", "in", url, 1, [frame])
    return began


def test_a_cut_keeps_the_time_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    began = trades(Path("r.jsonl"), 10)
    clock = datetime.fromtimestamp(began // 10**9 + 3, UTC)
    later = (clock + timedelta(seconds=2, milliseconds=500)).isoformat()
    done = tickhive("cut", "r.jsonl", "--from", f"{clock:%H:%M:%S}", "--until", later, "--to", "x.jsonl")
    assert done.exit_code == 0, done.exception
    assert [(line.t or 0) - began for line in read_recording("x.jsonl")] == [3 * 10**9, 4 * 10**9, 5 * 10**9]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--from", "yesterday", "--to", "x.jsonl"], "expected a time such as"),
        (["--symbol", "NOPE", "--to", "x.jsonl"], "no data of NOPE in that time; nothing was written"),
        (["--until", "2001-01-01", "--to", "x.jsonl"], "no data in that time"),
        (["--to", "r.jsonl"], "r.jsonl is there already"),
        (["--to", "no/where/x.jsonl"], "cannot be written"),
    ],
)
def test_what_cannot_be_cut_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    trades(Path("r.jsonl"), 1)
    done = tickhive("cut", "r.jsonl", *arguments)
    assert done.exit_code != 0
    assert said in f"{done.exception} {done.stderr}"
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


async def test_a_service_records_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with VenueServer(OKXVenue(VenueOptions(symbols=SYMBOLS, speed=5))) as server:
        for _ in range(2):
            config = ServiceConfig.from_tables(
                {
                    "service": {"record": "recordings"},
                    "exchanges": {"okx": addresses(server)},
                    "collectors": [{"exchange": "okx", "symbols": ["BTC-USDT"], "data_types": ["trade"]}],
                }
            )
            events: list[MarketEvent] = []
            async with DataCollectionService(config) as service:
                service.collectors[0].add_tap(events.extend)
                await until(lambda: count(events, Trade) > 5)  # noqa: B023
    files = list((tmp_path / "recordings").iterdir())
    assert len(files) == 2
    for path in files:
        assert replay(path)[0].events["trade"] > 5


def test_a_collector_that_cannot_be_recorded_says_so() -> None:
    from tickhive import BaseDataCollector

    class Own(BaseDataCollector):
        async def _actual_connect(self) -> None: ...
        async def _actual_disconnect(self) -> None: ...
        async def _subscribe_channels(self, channels: Any) -> None: ...
        def _process_message(self, message: Any, at: int) -> list[MarketEvent]:
            return []

    own = Own(ExchangeCollectorConfig(exchange="acme", symbol="A-B", data_types=["trade"]))
    with pytest.raises(CollectorError, match="cannot be recorded"):
        own.record(None)
