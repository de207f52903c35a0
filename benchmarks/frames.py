"""The frames the benchmarks send: recorded OKX traffic, and composed books for the memory figure."""

from __future__ import annotations

import gzip
import json
import random
import re
import struct
from collections.abc import Iterator
from pathlib import Path

RECORDING = Path(__file__).resolve().parents[2] / "shared" / "data" / "okx-2022.jsonl.gz"

SCENARIOS = ("trades", "fresh", "books")
FRESH_TRADES = 30_000


def recorded(scenario: str) -> list[bytes]:
    """The messages of one cycle: ``trades`` alone, or ``books`` with the trades between them, as recorded.

    ``fresh`` is the recorded trades with random digits in every price and size: the recording's 74 trades come round
    again and again, which flatters whoever remembers numbers.
    """
    if scenario == "fresh":
        return _fresh_trades(recorded("trades"), FRESH_TRADES)
    wanted = {"trades": ("trades",), "books": ("trades", "books")}[scenario]
    frames = []
    with gzip.open(RECORDING, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["kind"] == "ws" and entry["dir"] == "in":
                message = json.loads(entry["frame"])
                if "data" in message and message["arg"]["channel"] in wanted:
                    frames.append(entry["frame"].encode())
    return frames


def endless(cycle: list[bytes], total: int) -> Iterator[bytes]:
    """Messages of a cycle again and again, ``total`` in all, the trades' ids of each round going on from the last.

    A venue's ids do not begin anew every second, and whoever watches them would be busy with nothing else.
    """
    ids: dict[str, list[int]] = {}
    places = []
    for frame in cycle:
        message = json.loads(frame)
        trade = message["data"][0] if message["arg"]["channel"] == "trades" else None
        if trade is not None:
            ids.setdefault(trade["instId"], []).append(int(trade["tradeId"]))
        places.append(trade)
    span = {name: max(seen) - min(seen) + 1 for name, seen in ids.items()}
    for n in range(total):
        lap, place = divmod(n, len(cycle))
        frame, trade = cycle[place], places[place]
        if trade is not None and lap:
            number = int(trade["tradeId"])
            moved = b'"tradeId":"%d"' % (number + lap * span[trade["instId"]])
            frame = frame.replace(b'"tradeId":"%d"' % number, moved)
        yield frame


def _fresh_trades(originals: list[bytes], count: int, seed: int = 11) -> list[bytes]:
    rng = random.Random(seed)

    def renumber(found: re.Match[bytes]) -> bytes:
        return found[1] + b"%d.%05d" % (rng.randrange(1, 100_000), rng.randrange(1, 100_000)) + b'"'

    number = re.compile(rb'("(?:px|sz)":")[0-9.]+"')
    return [number.sub(renumber, frame) for frame in endless(originals, count)]


def subscriptions(scenario: str) -> list[tuple[str, str]]:
    """Which (channel, instId) the recorded cycle carries."""
    found = {}
    for frame in recorded(scenario):
        arg = json.loads(frame)["arg"]
        found[arg["channel"], arg["instId"]] = None
    return list(found)


def instruments() -> dict[str, bytes]:
    """The recorded REST answers, by path and query; each once."""
    answers = {}
    with gzip.open(RECORDING, "rt", encoding="utf-8") as lines:
        for line in lines:
            entry = json.loads(line)
            if entry["kind"] == "http":
                answers[entry["url"].split("okx.com", 1)[1]] = entry["frame"].encode()
    return answers


def spot_names(count: int) -> list[str]:
    """The first spot instruments of the recording."""
    rows = json.loads(instruments()["/api/v5/public/instruments?instType=SPOT"])["data"]
    return [row["instId"] for row in rows][:count]


def deep_books(names: list[str], levels: int, updates: int, seed: int = 7) -> list[bytes]:
    """A snapshot of ``levels`` a side for each name, then ``updates`` changes to each, chained by sequence numbers."""
    rng = random.Random(seed)
    frames = []
    for name in names:
        bids = [[f"{50_000 - i * 0.1:.1f}", f"{rng.uniform(0.001, 9):.8f}", "0", "3"] for i in range(levels)]
        asks = [[f"{50_000.1 + i * 0.1:.1f}", f"{rng.uniform(0.001, 9):.8f}", "0", "3"] for i in range(levels)]
        frames.append(_book(name, "snapshot", bids, asks, -1, 1))
    for n in range(1, updates + 1):
        for name in names:
            side = [[f"{50_000 - rng.randrange(levels) * 0.1:.1f}", f"{rng.uniform(0.001, 9):.8f}", "0", "3"]]
            frames.append(_book(name, "update", side, [], n, n + 1))
    return frames


def _book(name: str, action: str, bids: list[list[str]], asks: list[list[str]], previous: int, sequence: int) -> bytes:
    data = {"asks": asks, "bids": bids, "ts": "1791369351001", "checksum": 0, "prevSeqId": previous, "seqId": sequence}
    message = {"arg": {"channel": "books", "instId": name}, "action": action, "data": [data]}
    return json.dumps(message, separators=(",", ":")).encode()


def wire(payload: bytes) -> bytes:
    """One unmasked, unfragmented WebSocket text frame (RFC 6455, section 5.2)."""
    size = len(payload)
    if size < 126:
        head = struct.pack("!BB", 0x81, size)
    elif size < 65_536:
        head = struct.pack("!BBH", 0x81, 126, size)
    else:
        head = struct.pack("!BBQ", 0x81, 127, size)
    return head + payload
