"""What the simulated OKX pushes: the frames of every channel, built from a seeded market at OKX's own pace."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

import msgspec
from attrs import Factory, define, field

from tickhive.channels import DataType
from tickhive.simulation.ladder import Row
from tickhive.simulation.market import Change, Index, Market
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar
from tickhive_okx.venue_channels import BARS, TICK_BY_TICK, Frame, Key, Publish, arg_of
from tickhive_okx.venue_fine import KEEP_ALIVE, FineBooks
from tickhive_okx.venue_listing import MILLISECOND, Product
from tickhive_okx.venue_rows import (
    book_checksum,
    book_rows,
    candle_row,
    funding_row,
    index_row,
    interest_row,
    limit_row,
    mark_row,
    match_rows,
    ms,
    ticker_row,
    trade_row,
)

BOOK_DEPTH = 400
"""Levels a side on the channel ``books``."""

TICK = 100 * MILLISECOND
"""The pace of books, books5, tickers and index-tickers, ns; slower channels come at multiples of it."""

_DATA = ',"data":['

encode = msgspec.json.Encoder().encode

_Build: TypeAlias = Callable[[Key, int], Iterable[Frame]]


def text(value: object) -> str:
    """A value as JSON text."""
    return encode(value).decode()


@define
class _Desk:
    """What is remembered of one instrument's streams. Sequence numbers are the same on every connection."""

    product: Product
    stock: Stock
    bids: set[int]
    asks: set[int]
    sequence: int
    pushed: int = 0
    shift: int = 0
    quote: tuple[Row | None, Row | None] = (None, None)

    def now(self) -> int:
        """The instrument's sequence number as OKX would count it."""
        return self.stock.sequence - self.shift


@define
class MarketSource:
    """All streams of the simulated market.

    ``wanted`` are the streams that somebody listens to, ``publish`` takes what is to be sent to their listeners.
    ``checksums``: books carry the CRC32 of old instead of 0. ``snapshots`` false: books begin with an update.
    """

    market: Market
    products: list[Product]
    wanted: Mapping[Key, Container[int]]
    publish: Publish
    checksums: bool = False
    snapshots: bool = True
    by_native: dict[str, Product] = Factory(dict)
    _desks: dict[str, _Desk] = Factory(dict)
    _heads: dict[Key, str] = Factory(dict)
    _last: dict[Key, tuple[object, int]] = Factory(dict)
    _seen: dict[Key, int] = Factory(dict)
    _open_bars: dict[Key, int] = Factory(dict)
    _fine: FineBooks = field(init=False)
    _builders: Mapping[str, tuple[int, _Build]] = Factory(dict)
    _next_tick: int = 0

    def __attrs_post_init__(self) -> None:
        """Watch every book."""
        self._fine = FineBooks(self._fine_book, self.market.stocks, self.sequence)
        self._builders = self._pace()
        for product in self.products:
            self._open(product)
        self._next_tick = self.market.start - self.market.start % TICK + TICK

    def offers(self, key: Key, types: Container[str], by: str) -> bool:
        """Whether the instrument, index or type of a stream exists here and has this channel."""
        name = key[1]
        if by == "instType":
            kind, _, family = name.partition(":")
            return any(p.type == kind and family in ("", p.index) for p in self.products)
        if by == "index":
            return any(product.index == name for product in self.products)
        product = self.by_native.get(name)
        return product is not None and product.type in types and not (product.type == "OPTION" and key[0] == "candle1s")

    def _open(self, product: Product) -> None:
        self.by_native[product.native] = product
        stock = self.market.stocks[product.native]
        self._desks[product.native] = _Desk(product, stock, stock.bids.watch(), stock.asks.watch(), stock.sequence)

    def add(self, product: Product, index: Index) -> None:
        """An instrument begins to trade; the listeners of the instruments channel are told."""
        self.market.add(product.listing, index)
        self.products.append(product)
        self._open(product)
        self.announce(product)

    def delist(self, product: Product) -> None:
        """An instrument trades no more; the listeners of the instruments channel are told. Nobody may listen to it."""
        self.market.delist(product.native)
        self.products.remove(product)
        del self.by_native[product.native]
        product.row = product.row | {"state": "expired"}
        self.announce(product)

    def advance(self, until: int) -> int:
        """Let the market go on until then; answers when there is something to do next."""
        while self._next_tick <= until:
            self._trade(self._next_tick)
            self._push(self._next_tick)
            self._next_tick += TICK
        self._trade(until)
        upcoming = self.market.next_change()
        return self._next_tick if upcoming is None else min(self._next_tick, upcoming)

    def opening(self, key: Key) -> Iterator[Frame]:
        """What a new listener gets first: the state as it is."""
        at = self.market.now
        channel, name = key
        if channel == "books":
            desk = self._desks[name]
            # Listeners of before get what is due, so that the snapshot and the next update fit together for all.
            for frame in self._update(key, at):
                self.publish(key, frame)
            if self.snapshots:
                yield self._book(key, desk, at, "snapshot", desk.stock.bids.top(BOOK_DEPTH),
                                 desk.stock.asks.top(BOOK_DEPTH), -1, desk.sequence)  # fmt: skip
        elif channel in TICK_BY_TICK:
            for frame in self._fine.update(key, at) if key in self.wanted else ():
                self.publish(key, frame)
            yield self._fine.open(key, at)
        elif channel.startswith("candle"):
            bars = self._candles(key)
            if bars:
                yield self._candle(key, bars[-1], at)
        elif channel == "bbo-tbt":
            yield self._quote(key, self._desks[name], at)
        elif (build := self._builders.get(channel)) is not None:
            remembered = self._last.pop(key, None)
            yield from build[1](key, at)
            if remembered is not None:
                self._last[key] = remembered

    # The market's changes, as they happen.

    def _trade(self, until: int) -> None:
        for change in self.market.advance(until):
            name = change.stock.listing.name
            desk = self._desks[name]
            if change.fills:
                self._executed(desk, change)
            if change.forced is not None:
                self._liquidated(desk.product, change)
            for channel in TICK_BY_TICK:
                key = (channel, name)
                if key in self.wanted:
                    for frame in self._fine.update(key, change.at):
                        self.publish(key, frame)
            key = ("bbo-tbt", name)
            if key in self.wanted:
                quote = (_best(desk.stock.bids.top(1)), _best(desk.stock.asks.top(1)))
                if quote != desk.quote:
                    desk.quote = quote
                    self.publish(key, self._quote(key, desk, change.at))

    def _executed(self, desk: _Desk, change: Change) -> None:
        product = desk.product
        key = ("trades", product.native)
        if key in self.wanted:
            for fill in change.fills:
                row = trade_row(product, fill) | {"count": str(fill.matches), "source": "0", "seqId": desk.now()}
                self.publish(key, self._frame(key, product.symbol, DataType.TRADE, row))
        key = ("trades-all", product.native)
        if key in self.wanted:
            for fill in change.fills:
                rows = match_rows(product, fill)
                self.publish(key, self._frame(key, product.symbol, DataType.TRADE, *rows))

    def _liquidated(self, product: Product, change: Change) -> None:
        forced = change.forced
        assert forced is not None
        for name in (product.type, f"{product.type}:{product.index}"):
            key = ("liquidation-orders", name)
            if key in self.wanted:
                detail = {
                    "side": forced.side,
                    "posSide": "short" if forced.side == "buy" else "long",
                    "bkPx": product.listing.price(forced.price),
                    "sz": product.listing.size(forced.size),
                    "bkLoss": "0",
                    "ccy": "",
                    "ts": ms(forced.at),
                }
                row = {
                    "instType": product.type,
                    "instId": product.native,
                    "uly": product.index,
                    "instFamily": product.index,
                    "details": [detail],
                }
                self.publish(key, self._frame(key, product.symbol, DataType.LIQUIDATION, row))

    def announce(self, product: Product) -> None:
        """Tell the listeners of the instruments channel that the terms or the state of one changed."""
        for name in (product.type, f"{product.type}:{product.index}"):
            key = ("instruments", name)
            if key in self.wanted:
                self.publish(key, self._frame(key, product.symbol, DataType.INSTRUMENT, product.row))

    def sequence(self, native: str) -> int:
        """The number of the book as it stands now."""
        return self._desks[native].now()

    def reset_sequence(self, native: str) -> None:
        """A maintenance: the next update's number is small, and numbering continues from there."""
        desk = self._desks[native]
        desk.shift = desk.stock.sequence - 10

    # The channels that are pushed at a pace.

    def _pace(self) -> Mapping[str, tuple[int, _Build]]:
        """Per channel: every how many ticks, and what makes its frames."""
        return {
            "books": (1, self._update),
            **dict.fromkeys(TICK_BY_TICK, (1, self._fine.update)),
            "books5": (1, self._top),
            "tickers": (1, self._ticker),
            "index-tickers": (1, self._index),
            "mark-price": (2, self._mark),
            "price-limit": (2, self._limit),
            "open-interest": (30, self._interest),
            "funding-rate": (600, self._funding),
        }

    def _push(self, at: int) -> None:
        tick = at // TICK
        builders = self._builders
        for key in tuple(self.wanted):
            entry = builders.get(key[0])
            if entry is not None:
                if tick % entry[0] == 0:
                    for frame in entry[1](key, at):
                        self.publish(key, frame)
            elif tick % 10 == 0 and key[0].startswith("candle"):
                self._push_candles(key, at)

    def _update(self, key: Key, at: int) -> Iterable[Frame]:
        desk = self._desks[key[1]]
        bids, asks = desk.stock.bids.changes(desk.bids), desk.stock.asks.changes(desk.asks)
        previous = desk.sequence
        if bids or asks:
            desk.sequence = desk.now()
        elif key not in self.wanted or at - desk.pushed < KEEP_ALIVE:
            return ()
        desk.pushed = at
        if key not in self.wanted:
            return ()
        return (self._book(key, desk, at, "update", bids, asks, previous, desk.sequence),)

    def _book(
        self,
        key: Key,
        desk: _Desk,
        at: int,
        action: str,
        bids: Sequence[Row],
        asks: Sequence[Row],
        previous: int,
        sequence: int,
    ) -> Frame:
        product = desk.product
        checksum = book_checksum(product, desk.stock) if self.checksums else 0
        body = (
            f'{{"asks":{book_rows(product, asks)},"bids":{book_rows(product, bids)},"ts":"{ms(at)}",'
            f'"checksum":{checksum},"prevSeqId":{previous},"seqId":{sequence}}}'
        )
        head = self._head(key)[: -len(_DATA)] + f',"action":"{action}"{_DATA}'
        return Frame(f"{head}{body}]}}", (((product.symbol, DataType.ORDERBOOK), 1),))

    def _fine_book(
        self, key: Key, at: int, action: str, bids: list[Row], asks: list[Row], numbers: tuple[int, int]
    ) -> Frame:
        return self._book(key, self._desks[key[1]], at, action, bids, asks, *numbers)

    def _top(self, key: Key, at: int) -> Iterable[Frame]:
        desk = self._desks[key[1]]
        if self._untouched(key, desk):
            return
        bids, asks = desk.stock.bids.top(5), desk.stock.asks.top(5)
        if not self._changed(key, (bids, asks), at):
            return
        product = desk.product
        body = (
            f'{{"asks":{book_rows(product, asks)},"bids":{book_rows(product, bids)},"instId":"{product.native}",'
            f'"ts":"{ms(at)}","seqId":{desk.now()}}}'
        )
        yield Frame(f"{self._head(key)}{body}]}}", (((product.symbol, DataType.ORDERBOOK), 1),))

    def _quote(self, key: Key, desk: _Desk, at: int) -> Frame:
        product = desk.product
        body = (
            f'{{"asks":{book_rows(product, desk.stock.asks.top(1))},"bids":{book_rows(product, desk.stock.bids.top(1))}'
            f',"ts":"{ms(at)}","seqId":{desk.now()}}}'
        )
        return Frame(f"{self._head(key)}{body}]}}", (((product.symbol, DataType.QUOTE), 1),))

    def _ticker(self, key: Key, at: int) -> Iterable[Frame]:
        desk = self._desks[key[1]]
        if self._untouched(key, desk):
            return
        product = desk.product
        signature = (desk.stock.bids.top(1), desk.stock.asks.top(1), desk.stock.trade_id)
        if self._changed(key, signature, at):
            yield self._frame(key, product.symbol, DataType.TICKER, ticker_row(self.market, product, at))

    def _index(self, key: Key, at: int) -> Iterable[Frame]:
        row = index_row(self.market, key[1], at)
        if self._changed(key, row["idxPx"], at, 60_000):
            yield self._frame(key, key[1], DataType.INDEX_PRICE, row)

    def _mark(self, key: Key, at: int) -> Iterable[Frame]:
        product = self.by_native[key[1]]
        row = mark_row(self.market, product, at)
        if self._changed(key, row["markPx"], at, 10_000):
            yield self._frame(key, product.symbol, DataType.MARK_PRICE, row)

    def _limit(self, key: Key, at: int) -> Iterable[Frame]:
        product = self.by_native[key[1]]
        row = limit_row(self.market, product, at)
        if self._changed(key, (row["buyLmt"], row["sellLmt"]), at):
            yield self._frame(key, product.symbol, DataType.PRICE_LIMIT, row)

    def _interest(self, key: Key, at: int) -> Iterable[Frame]:
        product = self.by_native[key[1]]
        row = interest_row(self.market, product, at)
        if self._changed(key, row["oi"], at):
            yield self._frame(key, product.symbol, DataType.OPEN_INTEREST, row)

    def _funding(self, key: Key, at: int) -> Iterable[Frame]:
        product = self.by_native[key[1]]
        yield self._frame(key, product.symbol, DataType.FUNDING_RATE, funding_row(self.market, product, at))

    # Candles.

    def _candles(self, key: Key) -> Sequence[Bar]:
        bar = key[0].removeprefix("candle")
        return self.market.stocks[key[1]].bars(bar, BARS[bar])

    def _push_candles(self, key: Key, at: int) -> None:
        bars = self._candles(key)
        since = self._open_bars.get(key, bars[-1].start if bars else 0)
        fresh = []
        for bar in reversed(bars):
            if bar.start < since:
                break
            fresh.append(bar)
        for bar in reversed(fresh):
            closed = self._closed(key, bar, at)
            if self._changed(key, (bar.start, bar.turnover, closed), at):
                self.publish(key, self._candle(key, bar, at))
            self._open_bars[key] = bar.start + closed

    @staticmethod
    def _closed(key: Key, bar: Bar, at: int) -> bool:
        return BARS[key[0].removeprefix("candle")](at) > bar.start

    def _candle(self, key: Key, bar: Bar, at: int) -> Frame:
        product = self.by_native[key[1]]
        row = candle_row(product, bar, self._closed(key, bar, at))
        return self._frame(key, product.symbol, DataType.CANDLE, row)

    # Frames.

    def _untouched(self, key: Key, desk: _Desk) -> bool:
        """Whether nothing at all happened to the instrument since this stream was last looked at."""
        seen = self._seen.get(key)
        self._seen[key] = desk.stock.sequence
        return seen == desk.stock.sequence and key in self._last

    def _changed(self, key: Key, signature: object, at: int, refresh_ms: int | None = None) -> bool:
        """Whether a stream's content differs from its last push, or that push is older than ``refresh_ms``."""
        last = self._last.get(key)
        if last is not None and last[0] == signature:
            due = refresh_ms is not None and at - last[1] >= refresh_ms * MILLISECOND
            if not due:
                return False
        self._last[key] = (signature, at)
        return True

    def _head(self, key: Key) -> str:
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = f'{{"arg":{text(arg_of(key))}{_DATA}'
        return head

    def _frame(self, key: Key, symbol: str, data_type: DataType, *rows: object) -> Frame:
        body = ",".join(map(text, rows))
        return Frame(f"{self._head(key)}{body}]}}", (((symbol, data_type), len(rows)),))


def _best(rows: Sequence[Row]) -> Row | None:
    return rows[0] if rows else None
