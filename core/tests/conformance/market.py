"""The true market: what really happened, kept for ever, so that what was handed out can be held against it."""

from __future__ import annotations

import random
from typing import Any, Literal, TypeAlias

from attrs import define, field

Style: TypeAlias = Literal["chained", "merged", "bridged", "summed"]
"""How a venue numbers a book: by ``previous`` and streamed snapshots; by ``first`` alone, or ``previous`` too, with
snapshots by REST; or not at all, with a checksum on every change."""

STYLES: dict[str, Style] = {"AAA-USD": "chained", "BBB-USD": "merged", "CCC-USD": "summed", "DDD-USD": "bridged"}
SYMBOLS = tuple(STYLES)
MINUTE = 60_000_000_000

Sides: TypeAlias = tuple[dict[str, str], dict[str, str]]


@define
class Fact:
    """Something that happened: ``kind`` is the data type it belongs to, ``row`` how the venue words it."""

    kind: str
    symbol: str
    time: int
    row: list[Any]


@define
class TrueBook:
    """One symbol's order book and each of its past ``states`` by the time it came about.

    ``time`` is that of the present one, ``told`` that of the last one the stream tells. ``half``: what changed since,
    to be merged into the next change; a snapshot may show it before.
    """

    symbol: str
    style: Style
    bids: dict[str, str] = field(factory=dict)
    asks: dict[str, str] = field(factory=dict)
    sequence: int = 1_000_000
    epoch: int = 0
    restarted: bool = False
    time: int = 0
    told: int = 0
    half: tuple[list[list[str]], list[list[str]]] | None = None
    states: dict[int, tuple[int, Sides]] = field(factory=dict)

    def begin(self, time: int) -> None:
        for place in range(6):
            self.bids[f"{99 - place}.5"] = "3"
            self.asks[f"{101 + place}.5"] = "2"
        self._note(time)

    def _note(self, time: int) -> None:
        self.time = time
        self.states[time] = self.sequence, (dict(self.bids), dict(self.asks))

    def change(self, time: int, chance: random.Random) -> Fact:
        """Some levels get another size, some vanish, some are new."""
        rows = self._move(chance)
        before = self.sequence
        if self.half is not None:
            before -= 1
            rows = self.half[0] + rows[0], self.half[1] + rows[1]
            self.half = None
        if self.restarted:
            # No number is ever used twice, so that a state can be told by it.
            self.epoch += 1
            self.sequence, self.restarted = 1_000_000 - 20_000 * self.epoch, False
            first = self.sequence
        else:
            first = before + 1
            self.sequence += 1 if self.style == "chained" else chance.randint(1, 3)
        self._note(time)
        self.told = time
        return self._delta(time, rows, before, first)

    def change_half(self, time: int, chance: random.Random) -> None:
        """Something changes that the stream will tell with the next change."""
        self.half = self._move(chance)
        self.sequence += 1
        self._note(time)

    def _move(self, chance: random.Random) -> tuple[list[list[str]], list[list[str]]]:
        rows: tuple[list[list[str]], list[list[str]]] = [], []
        for _ in range(chance.randint(1, 3)):
            bid = chance.random() < 0.5
            levels = self.bids if bid else self.asks
            price = f"{99 - chance.randrange(8)}.5" if bid else f"{101 + chance.randrange(8)}.5"
            size = "0" if chance.random() < 0.3 else str(chance.randint(1, 9_999))
            if size != "0":
                levels[price] = size
            else:
                levels.pop(price, None)
            rows[0 if bid else 1].append([price, size])
        return rows

    def keep_alive(self, time: int) -> Fact:
        """Nothing changed, and the venue says so: the same number again, with empty sides."""
        self._note(time)
        self.told = time
        return self._delta(time, ([], []), self.sequence, self.sequence)

    def _delta(self, time: int, rows: tuple[list[list[str]], list[list[str]]], previous: int, first: int) -> Fact:
        numbers: dict[Style, list[int | None]] = {
            "chained": [self.sequence, previous, None],
            "merged": [self.sequence, None, first],
            "bridged": [self.sequence, previous, first],
            "summed": [None, None, None],
        }
        return Fact("orderbook", self.symbol, time, ["delta", self.symbol, time, *rows, *numbers[self.style]])

    def snapshot(self) -> list[Any]:
        """The book as it is now, worded by the venue."""
        number = None if self.style == "summed" else self.sequence
        sides = [[list(level) for level in side.items()] for side in (self.bids, self.asks)]
        return ["snap", self.symbol, self.time, *sides, number]


@define
class TrueTrade:
    """One trade; ``count`` executions were merged into it, the last of which is ``number``."""

    number: int
    time: int
    row: list[Any]
    count: int

    @property
    def first(self) -> int:
        return self.number - self.count + 1


class Market:
    """Everything that was ever traded, quoted and booked, in the order it happened."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.books = {symbol: TrueBook(symbol, style) for symbol, style in STYLES.items()}
        self.trades: dict[str, list[TrueTrade]] = {symbol: [] for symbol in SYMBOLS}
        self.candles: dict[str, list[list[Any]]] = {symbol: [] for symbol in SYMBOLS}
        self.closed: dict[str, list[list[Any]]] = {symbol: [] for symbol in SYMBOLS}
        self._last = dict.fromkeys(SYMBOLS, 0)
        self._numbers = dict.fromkeys(SYMBOLS, 5_000)

    def begin(self, at: int) -> None:
        for symbol, book in self.books.items():
            book.begin(self._time(symbol, at))

    def _time(self, symbol: str, at: int) -> int:
        """No two things of one symbol happen at the same moment."""
        self._last[symbol] = max(at, self._last[symbol] + 1)
        return self._last[symbol]

    def happen(self, symbol: str, kind: str, at: int) -> list[Fact]:
        """One thing of a kind happens; a trade may end the minute's candle too."""
        time, chance = self._time(symbol, at), self.chance
        if kind == "trade":
            return self._trade(symbol, time)
        if kind == "quote":
            low = chance.randint(1, 99)
            return [Fact(kind, symbol, time, [kind, symbol, time, str(low), str(low + 1)])]
        if kind == "ticker":
            return [Fact(kind, symbol, time, [kind, symbol, time, str(chance.randint(1, 99))])]
        book = self.books[symbol]
        if kind == "keep-alive" and book.style == "chained" and not book.restarted:
            return [book.keep_alive(time)]
        fact = book.change(time, chance)
        if book.style in ("merged", "bridged") and chance.random() < 0.5:
            book.change_half(self._time(symbol, at), chance)
        return [fact]

    def _trade(self, symbol: str, time: int) -> list[Fact]:
        chance = self.chance
        count = 2 if chance.random() < 0.1 else 1
        number = self._numbers[symbol] = self._numbers[symbol] + count
        # One symbol's ids are words: nobody can tell from them what is missing.
        name = f"t-{number}" if STYLES[symbol] == "summed" else str(number)
        price = chance.randint(90, 110)
        row = ["trade", symbol, time, name, str(price), "1", count]
        self.trades[symbol].append(TrueTrade(number, time, row, count))
        return [Fact("trade", symbol, time, row), *self._candle(symbol, price, time)]

    def _candle(self, symbol: str, price: int, time: int) -> list[Fact]:
        facts = []
        candles, start = self.candles[symbol], time - time % MINUTE
        if candles and candles[-1][4] != start:
            done = [*candles[-1][:-1], True]
            done[2] = self._time(symbol, time)
            time = self._time(symbol, time)
            self.closed[symbol].append(done)
            facts.append(Fact("candle", symbol, done[2], done))
        if not candles or candles[-1][4] != start:
            candles.append(["candle", symbol, time, "1m", start, price, price, price, price, 0, False])
        candle = candles[-1]
        candle[2], candle[6], candle[7] = self._time(symbol, time), max(candle[6], price), min(candle[7], price)
        candle[8], candle[9] = price, candle[9] + 1
        facts.append(Fact("candle", symbol, candle[2], list(candle)))
        return facts
