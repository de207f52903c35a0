"""The simulated OKX over real sockets: a market for plain clients, and recordings served again."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tickhive.channels import DataType
from tickhive.clock import ManualClock
from tickhive.plugin.venue import VenueOptions
from tickhive.simulation import VenueServer
from tickhive_okx.venue import OKXVenue

BOOK = {"asks": [["2", "5", "0", "1"]], "bids": [["1", "5", "0", "1"]], "ts": "1", "checksum": 0}


async def subscribe(socket: ClientConnection, *args: Mapping[str, str]) -> None:
    await socket.send(json.dumps({"op": "subscribe", "args": args}))


async def drain(socket: ClientConnection, until: Any) -> list[Any]:
    """Read until ``until(frames)``."""
    frames: list[Any] = []
    async with asyncio.timeout(20):
        while not until(frames):
            frames.append(json.loads(await socket.recv()))
    return frames


def data(frames: list[Any]) -> list[Any]:
    return [frame for frame in frames if "data" in frame]


async def test_what_arrives_is_what_the_venue_logged() -> None:
    venue = OKXVenue(VenueOptions(seed=2, symbols=["BTC-USDT", "BTC-USDT-PERP"], speed=20.0))
    async with VenueServer(venue) as server, connect(server.url + "/ws/v5/public") as socket:
        natives = ("BTC-USDT", "BTC-USDT-SWAP")
        await subscribe(socket, *({"channel": c, "instId": n} for c in ("trades", "books", "tickers") for n in natives))
        frames = await drain(socket, lambda frames: len(frames) > 400)
        server.pause()
        await socket.send("ping")
        async with asyncio.timeout(10):
            while (text := await socket.recv()) != "pong":
                frames.append(json.loads(text))
        counted: Counter[DataType] = Counter()
        types = {"trades": DataType.TRADE, "books": DataType.ORDERBOOK, "tickers": DataType.TICKER}
        for frame in data(frames):
            counted[types[frame["arg"]["channel"]]] += len(frame["data"])
        assert counted == venue.log.by_type()
        assert sum(counted.values()) > 300


async def test_rest_and_sockets_share_the_port() -> None:
    venue = OKXVenue(VenueOptions(symbols=["BTC-USDT"]))
    async with VenueServer(venue) as server, httpx.AsyncClient(trust_env=False) as client:
        reply = await client.get(server.rest_url + "/api/v5/public/instruments", params={"instType": "SPOT"})
        assert [row["instId"] for row in reply.json()["data"]] == ["BTC-USDT"]
        assert (await client.post(server.rest_url + "/api/v5/public/time")).status_code == 405
        async with connect(server.url + "/ws/v5/public") as socket:
            await socket.send("ping")
            assert await socket.recv() == "pong"


async def test_thirty_silent_seconds_close_the_socket_with_4004() -> None:
    clock = ManualClock()
    async with VenueServer(OKXVenue(VenueOptions(symbols=["BTC-USDT"])), clock) as server:
        socket = await connect(server.url + "/ws/v5/public")
        async with asyncio.timeout(10):
            await socket.send("ping")
            assert await socket.recv() == "pong"
            await clock.advance(31.0)
            await socket.wait_closed()
        assert socket.close_code == 4004


def recording(path: Path, own: bool = False) -> Path:
    """Two books and a few trades of two instruments over three seconds, to the documented shapes."""
    listed = {"code": "0", "msg": "", "data": [{"instType": "SWAP", "instId": "AAA-USDT-SWAP"}]}
    url, rest = "wss://ws.okx.com/ws/v5/public", "https://www.okx.com/api/v5/public/instruments?instType=SWAP"

    def push(channel: str, item: Mapping[str, Any], **more: Any) -> str:
        arg = {"channel": channel, "instId": "AAA-USDT-SWAP"}
        return json.dumps({"arg": arg, **more, "data": [item]}, separators=(",", ":"))

    def trade(number: int) -> dict[str, str]:
        return {"instId": "AAA-USDT-SWAP", "tradeId": str(number), "px": "1", "sz": "1", "side": "buy", "ts": "1"}

    frames = [
        (0.0, "in", "http", rest, json.dumps(listed)),
        (0.5, "out", "ws", url, '{"op":"subscribe","args":[]}'),
        (0.6, "in", "ws", url, '{"event":"subscribe","arg":{"channel":"trades","instId":"AAA-USDT-SWAP"}}'),
        (1.0, "in", "ws", url, push("books", BOOK | {"seqId": 5, "prevSeqId": -1}, action="snapshot")),
        (1.5, "in", "ws", url, push("trades", trade(7))),
        (2.0, "in", "ws", url, push("books", BOOK | {"seqId": 6, "prevSeqId": 5}, action="update")),
        (3.0, "in", "ws", url, push("trades", trade(8))),
    ]
    lines = [
        json.dumps({"t": 1_700_000_000 + t, "dir": d, "kind": k, "url": u, "conn": 1, "frame": f})
        for t, d, k, u, f in frames
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


@pytest.mark.parametrize("speed", [0.0, math.inf, 50.0])
async def test_a_recording_is_served_in_its_order_to_each_who_asks(tmp_path: Path, speed: float) -> None:
    venue = OKXVenue(VenueOptions(recording=recording(tmp_path / "x.jsonl.gz"), speed=speed))
    assert venue.symbols == ("AAA-USDT-PERP",)
    assert venue.subscriptions == ("orderbook", "trade")
    async with VenueServer(venue) as server, connect(server.url + "/ws/v5/public") as socket:
        for channel in ("trades", "books", "tickers"):
            await subscribe(socket, {"channel": channel, "instId": "AAA-USDT-SWAP"})
        frames = await drain(socket, lambda frames: len(data(frames)) == 4)
        assert [frame.get("code") for frame in frames if frame.get("event") == "error"] == ["60018"]
        assert [frame["arg"]["channel"] for frame in data(frames)] == ["books", "trades", "books", "trades"]
        async with connect(server.url + "/ws/v5/public") as other:
            await subscribe(other, {"channel": "trades", "instId": "AAA-USDT-SWAP"})
            again = await drain(other, lambda frames: len(data(frames)) == 2)
        assert [frame["data"][0]["tradeId"] for frame in data(again)] == ["7", "8"]
        assert venue.log.sent == {("AAA-USDT-PERP", DataType.TRADE): 4, ("AAA-USDT-PERP", DataType.ORDERBOOK): 2}
        async with httpx.AsyncClient(trust_env=False) as client:
            url = server.rest_url + "/api/v5/public/instruments?instType="
            assert len((await client.get(url + "SWAP")).json()["data"]) == 1
            assert (await client.get(url + "SPOT")).json() == {"code": "0", "msg": "", "data": []}
            assert (await client.get(server.rest_url + "/api/v5/public/time")).status_code == 404


def test_the_recorded_pace_is_kept_and_a_stream_begins_again_when_asked_again(tmp_path: Path) -> None:
    venue = OKXVenue(VenueOptions(recording=recording(tmp_path / "x.jsonl.gz"), speed=2.0))
    second = 1_000_000_000
    venue.opened(1, "/ws/v5/public", second)
    request = '{"op":"subscribe","args":[{"channel":"trades","instId":"AAA-USDT-SWAP"}]}'
    venue.received(1, request, second)
    origin = second + second // 4

    def play() -> list[int]:
        """When each frame came, ns since the stream began."""
        came, at = [], venue.advance(second)
        while at is not None and not venue.exhausted:
            venue.outgoing()
            due = venue.advance(at)
            came += [at - origin] * len(venue.outgoing())
            at = due
        return came

    assert play() == [second // 4, second]
    assert venue.exhausted
    venue.received(1, request.replace("subscribe", "unsubscribe"), 3 * second)
    venue.received(1, request, 3 * second)
    origin = 3 * second + second // 4
    assert play() == [second // 4, second]


async def test_the_recording_of_2022_arrives_whole(recorded: Callable[[str], Path]) -> None:
    venue = OKXVenue(VenueOptions(recording=recorded("okx-2022.jsonl.gz"), speed=0))
    assert set(venue.symbols) == {"BTC-USDT", "UNI-USD-PERP", "BTC-USD-20220527"}
    async with VenueServer(venue) as server, connect(server.url + "/ws/v5/public") as socket:
        natives = ("BTC-USDT", "UNI-USD-SWAP", "BTC-USD-220527")
        await subscribe(socket, *({"channel": c, "instId": n} for c in ("trades", "tickers", "books") for n in natives))
        frames = await drain(socket, lambda frames: len(data(frames)) == 392)
        counted = Counter(frame["arg"]["channel"] + frame.get("action", "") for frame in data(frames))
        assert counted == {"bookssnapshot": 3, "booksupdate": 287, "trades": 74, "tickers": 28}
        assert sum(venue.log.by_type().values()) == 392
        async with httpx.AsyncClient(trust_env=False) as client:
            url = server.rest_url + "/api/v5/public/instruments?instType=OPTION&instFamily=BTC-USD"
            assert (await client.get(url)).json()["data"][0]["instType"] == "OPTION"
