"""What the simulated Binance pushes: every stream, built from a seeded market at Binance's own pace."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from attrs import Factory, define, evolve

from tickhive.channels import DataType
from tickhive.simulation.ladder import Row
from tickhive.simulation.market import Change, Forced, Index, Market
from tickhive.simulation.stock import Stock
from tickhive.simulation.tape import Bar, Fill
from tickhive_binance import venue_payloads as payloads
from tickhive_binance.venue_listing import MILLISECOND, MarketName, Product
from tickhive_binance.venue_payloads import AggregateTrade, Payload
from tickhive_binance.venue_streams import INTERVALS, Stream, book_streams, whole_bars

Counted: TypeAlias = Iterable[tuple[str, DataType]]
"""The market events in a frame: symbol and data type of each."""

Publish: TypeAlias = Callable[[str, "Payload | list[Payload]", Counted], None]
"""Takes a stream's name, its payload, and what it counts as."""

TICK = 50 * MILLISECOND
"""Every pace is a multiple of this."""

_COUNTED: Mapping[str, DataType] = {
    "markPrice": DataType.MARK_PRICE,
    "forceOrder": DataType.LIQUIDATION,
    "bookTicker": DataType.QUOTE,
    "ticker": DataType.TICKER,
    "miniTicker": DataType.TICKER,
}
"""What a row of a stream counts as."""

_GATHER = 100 * MILLISECOND
_FIRST_FUTURES_ID = 11_538_015_451_847


@define
class _Chain:
    """One pace of a book's updates: what changed since the last one, and its number. ``first`` is the first change."""

    names: tuple[str, ...]
    bids: set[int]
    asks: set[int]
    last: int
    first: int | None = None


@define
class Desk:
    """What is kept of one instrument: ``number`` is the id of its book's last change, ``traded`` what was executed.

    ``fetched`` is the number of the last snapshot that was answered, ``stale`` a snapshot of some while ago.
    """

    product: Product
    stock: Stock
    number: int
    sequence: int
    chains: dict[int, _Chain] = Factory(dict)
    traded: deque[AggregateTrade] = Factory(lambda: deque(maxlen=10_000))
    aggregate_id: int = 3_000_000
    gathering: AggregateTrade | None = None
    gathered: list[AggregateTrade] = Factory(list)
    quote: object = None
    forced: Forced | None = None
    fetched: int = 0
    stale: tuple[int, list[Row], list[Row]] | None = None

    @property
    def symbol(self) -> str:
        """The normalised name."""
        return self.product.symbol


@define
class MarketSource:
    """All streams of one market. ``wanted`` are those that somebody listens to, by name; ``publish`` sends.

    ``traded`` hears of every execution: it may fill an account's orders. ``foreign`` are instruments of another market
    that show in arrays alone. ``natives`` and ``pairs`` are Binance's names of instruments and pairs, by those names in
    lower case.
    """

    name: MarketName
    market: Market
    products: list[Product]
    wanted: Mapping[str, Stream]
    publish: Publish
    traded: Callable[[Product, Sequence[Fill]], None]
    foreign: Sequence[Product] = ()
    desks: dict[str, Desk] = Factory(dict)
    natives: dict[str, str] = Factory(dict)
    pairs: dict[str, str] = Factory(dict)
    _foreign_desks: list[Desk] = Factory(list)
    stale_left: int = 0
    _ids: int = _FIRST_FUTURES_ID
    _last: dict[tuple[str, str], object] = Factory(dict)
    _next_tick: int = 0

    def __attrs_post_init__(self) -> None:
        """Open every book."""
        for product in self.products:
            self._open(product)
        stocks = self.market.stocks
        self._foreign_desks = [Desk(product, stocks[product.native], 0, 0) for product in self.foreign]
        self._next_tick = self.market.start - self.market.start % TICK + TICK

    def _open(self, product: Product) -> None:
        stock = self.market.stocks[product.native]
        number = self._ids
        if self.name == "spot":
            number = stock.sequence
            stock.bars("1s", INTERVALS["1s"])  # only what is kept from the first trade on is whole
        self.desks[product.native] = Desk(product, stock, number, stock.sequence)
        self.natives[product.native.lower()] = product.native
        self.pairs[product.pair.lower()] = product.pair

    def add(self, product: Product, index: Index) -> None:
        """An instrument begins to trade; on USD-M that is announced."""
        self.market.add(product.listing, index)
        self.products.append(product)
        self._open(product)
        self.announce(product)

    def delist(self, product: Product) -> None:
        """An instrument trades no more; on USD-M that is announced. Its streams fall silent."""
        self.market.delist(product.native)
        self.products.remove(product)
        del self.desks[product.native], self.natives[product.native.lower()]
        product.row["contractStatus" if self.name == "coinm" else "status"] = "CLOSE"
        self.announce(product)

    def announce(self, product: Product) -> None:
        """Tell the listeners of !contractInfo what became of a contract."""
        name = "!contractInfo"
        if name in self.wanted:
            payload = payloads.contract_info(product, self.market.now)
            self.publish(name, payload, [(product.symbol, DataType.INSTRUMENT)])

    def advance(self, until: int) -> int:
        """Let the market go on until then; answers when there is something to do next."""
        while self._next_tick <= until:
            self._trade(self._next_tick)
            self._push(self._next_tick)
            self._next_tick += TICK
        self._trade(until)
        upcoming = self.market.next_change()
        return self._next_tick if upcoming is None else min(self._next_tick, upcoming)

    def listen(self, stream: Stream) -> None:
        """Somebody listens to a stream nobody listened to: it begins here."""
        for key in [key for key in self._last if key[0] == stream.name]:
            del self._last[key]
        desk = self.desks.get(stream.subject)
        if desk is None:
            return
        if stream.kind == "kline":
            self._last[stream.name, "open"] = INTERVALS[stream.param](self.market.now)
        elif stream.kind == "depth" and not stream.param and stream.pace not in desk.chains:
            stock = desk.stock
            names = book_streams(stream.subject, self.name, stream.pace)
            desk.chains[stream.pace] = _Chain(names, stock.bids.watch(), stock.asks.watch(), desk.number)

    def book(self, desk: Desk) -> tuple[int, list[Row], list[Row]]:
        """A snapshot of a book: its number, bids and asks, best first."""
        if self.stale_left and desk.stale is not None:
            self.stale_left -= 1
            return desk.stale
        desk.fetched = desk.number
        return desk.number, list(desk.stock.bids), list(desk.stock.asks)

    def grow_stale(self, times: int) -> None:
        """Answer the next snapshots with the books as they stand now, however late they are asked for."""
        for desk in self.desks.values():
            desk.stale = (desk.number, list(desk.stock.bids), list(desk.stock.asks))
        self.stale_left = times

    # The market's changes, as they happen.

    def _trade(self, until: int) -> None:
        wanted = self.wanted
        for change in self.market.advance(until):
            desk = self.desks.get(change.stock.listing.name)
            if desk is None:
                continue
            product, at = desk.product, change.at
            self._number(desk)
            lower = product.native.lower()
            if change.fills:
                name = f"{lower}@trade"
                if name in wanted:
                    for fill in change.fills:
                        for payload in payloads.trades(product, fill, at):
                            self.publish(name, payload, [(desk.symbol, DataType.TRADE)])
                self._aggregate(desk, change)
                self.traded(product, change.fills)
            if change.forced is not None:
                desk.forced = change.forced
            name = f"{lower}@bookTicker"
            if name in wanted:
                quote = payloads.best(product, desk.stock)
                if quote != desk.quote:
                    desk.quote = quote
                    payload = payloads.quote(product, desk.stock, desk.number, at)
                    self.publish(name, payload, [(desk.symbol, DataType.QUOTE)])

    def _number(self, desk: Desk) -> None:
        """Give a change of a book its numbers: spot counts for each book, futures for all together, with jumps."""
        steps = desk.stock.sequence - desk.sequence
        desk.sequence = desk.stock.sequence
        if self.name == "spot":
            first, desk.number = desk.number + 1, desk.sequence
        else:
            first = self._ids + 1 + steps % 3
            self._ids = desk.number = first + steps * 7
        for chain in desk.chains.values():
            if chain.first is None:
                chain.first = first

    def _aggregate(self, desk: Desk, change: Change) -> None:
        spot = self.name == "spot"
        for fill in change.fills:
            known, first = desk.gathering, fill.id - fill.matches + 1
            if known is not None and (known.price, known.side) == (fill.price, fill.side):
                desk.gathering = evolve(known, size=known.size + fill.size, last=fill.id)
                continue
            self._finish(desk)
            number = desk.aggregate_id = desk.aggregate_id + 1
            desk.gathering = AggregateTrade(number, fill.at, fill.side, fill.price, fill.size, first, fill.id)
            if spot:
                self._finish(desk)
        if spot:
            self._push_aggregates(desk, change.at)

    @staticmethod
    def _finish(desk: Desk) -> None:
        if desk.gathering is not None:
            desk.traded.append(desk.gathering)
            desk.gathered.append(desk.gathering)
            desk.gathering = None

    def _push_aggregates(self, desk: Desk, at: int) -> None:
        self._finish(desk)
        name = f"{desk.product.native.lower()}@aggTrade"
        if name in self.wanted:
            for trade in desk.gathered:
                self.publish(name, payloads.aggregate(desk.product, trade, at), [(desk.symbol, DataType.TRADE)])
        desk.gathered.clear()

    # What is pushed at a pace.

    def _push(self, at: int) -> None:
        futures = self.name != "spot"
        for desk in self.desks.values():
            if futures and at % _GATHER == 0:
                self._push_aggregates(desk, at)
            for pace, chain in desk.chains.items():
                if at % pace == 0:
                    self._push_book(desk, chain, at)
        for stream in tuple(self.wanted.values()):
            if stream.pace and at % stream.pace == 0:
                self._push_stream(stream, at)
        if at % (1000 * MILLISECOND) == 0:
            for desk in self.desks.values():
                desk.forced = None

    def _push_stream(self, stream: Stream, at: int) -> None:
        match stream.kind:
            case "kline":
                for desk in self._chosen(stream):
                    self._push_klines(stream, desk, at)
            case "depth" if stream.param:
                for desk in self._chosen(stream):
                    self._push_top(stream, desk, at)
            case "indexPrice":
                symbols = [desk.symbol for desk in self.desks.values() if desk.product.pair == stream.subject]
                payload = payloads.index_price(self.market, stream.subject, at)
                self.publish(stream.name, payload, [(symbol, DataType.INDEX_PRICE) for symbol in symbols])
            case kind if kind in _COUNTED:
                self._push_rows(stream, at)

    def _chosen(self, stream: Stream) -> Sequence[Desk]:
        """The instruments a stream is about."""
        if not stream.subject:
            return tuple(self.desks.values())
        if stream.array:
            return [desk for desk in self.desks.values() if desk.product.pair == stream.subject]
        desk = self.desks.get(stream.subject)
        return () if desk is None else (desk,)

    def _push_rows(self, stream: Stream, at: int) -> None:
        """One row for each instrument: each in a frame of its own, or all in one."""
        rows: list[Payload] = []
        counted: list[tuple[str, DataType]] = []
        for desk in self._chosen(stream):
            row = self._row(stream, desk, at)
            if row is None:
                continue
            events = [(desk.symbol, kind) for kind in _counted(stream, desk.product)]
            if not stream.array:
                self.publish(stream.name, row, events)
            rows.append(row)
            counted += events
        if stream.array and not stream.subject:
            # The arrays of both families' markets are one since they were merged.
            rows += [row for desk in self._foreign_desks for row in [self._row(stream, desk, at)] if row is not None]
        if stream.array and rows:
            self.publish(stream.name, rows, counted)

    def _row(self, stream: Stream, desk: Desk, at: int) -> Payload | None:
        """What a stream has to say of an instrument now; None for nothing that it has not said."""
        product, stock = desk.product, desk.stock
        match stream.kind:
            case "markPrice":
                return payloads.mark_price(self.market, product, at)
            case "forceOrder":
                return payloads.forced_order(product, desk.forced, at) if desk.forced is not None else None
        key = (stream.name, product.native)
        if self._last.get(key) == stock.sequence:
            return None
        self._last[key] = stock.sequence
        match stream.kind:
            case "bookTicker":
                return payloads.quote(product, stock, desk.number, at)
            case "ticker":
                return payloads.ticker(product, stock, at)
            case _:
                return payloads.mini_ticker(product, stock, at)

    def _push_book(self, desk: Desk, chain: _Chain, at: int) -> None:
        """What changed in a book, numbered from the change before. Nothing changed: nothing is told.

        Nor is anything before there is more to tell than the last snapshot did: whether its receiver takes up such an
        update depends on which of the two he read first, and the log could not say how many he has.
        """
        if desk.number == desk.fetched:
            return
        bids, asks = desk.stock.bids.changes(chain.bids), desk.stock.asks.changes(chain.asks)
        if not (bids or asks):
            return
        first = chain.last + 1 if self.name == "spot" else chain.first or desk.number
        ids = (first, desk.number, chain.last)
        chain.last, chain.first = desk.number, None
        names = [name for name in chain.names if name in self.wanted]
        if names:
            payload = payloads.depth_update(desk.product, ids, bids, asks, at)
            for name in names:
                self.publish(name, payload, [(desk.symbol, DataType.ORDERBOOK)])

    def _push_top(self, stream: Stream, desk: Desk, at: int) -> None:
        told = self._last.get((stream.name, "number"), desk.number - 1)
        if told == desk.number:
            return
        self._last[stream.name, "number"] = desk.number
        assert isinstance(told, int)
        depth = int(stream.param)
        bids, asks = desk.stock.bids.top(depth), desk.stock.asks.top(depth)
        payload = payloads.top(desk.product, (told + 1, desk.number, told), bids, asks, at)
        self.publish(stream.name, payload, [(desk.symbol, DataType.ORDERBOOK)])

    def _push_klines(self, stream: Stream, desk: Desk, at: int) -> None:
        """The klines that closed since the last push, then the open one if there is anything more in it."""
        begin = INTERVALS[stream.param]
        since = self._last.get((stream.name, "open"), 0)
        assert isinstance(since, int)
        fresh: list[Bar] = []
        for bar in whole_bars(desk.stock.bars(stream.param, begin), begin, at):
            if bar.start < since:
                break
            fresh.append(bar)
        for bar in reversed(fresh):
            closed = begin(at) > bar.start
            content = (bar.start, bar.turnover, closed)
            if (closed or bar.volume) and self._last.get((stream.name, "content")) != content:
                self._last[stream.name, "content"] = content
                payload = payloads.kline(desk.product, bar, stream.param, begin, at)
                self.publish(stream.name, payload, [(desk.symbol, DataType.CANDLE)])
        self._last[stream.name, "open"] = begin(at)


def _counted(stream: Stream, product: Product) -> list[DataType]:
    """What a row about an instrument counts as: a mark price brings more with it."""
    kinds = [_COUNTED[stream.kind]]
    if stream.kind == "markPrice":
        kinds += [DataType.INDEX_PRICE] * (not product.dollars) + [DataType.FUNDING_RATE] * product.perpetual
    return kinds
