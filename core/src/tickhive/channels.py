"""What can be subscribed to: data types, channels, instruments and the two names every instrument has."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from attrs import define, field, frozen

from tickhive.errors import ConfigurationError, UnknownSymbolError


class DataType(StrEnum):
    """A kind of data. In configuration a parameter may follow a colon: ``candle:1m``, ``orderbook:5``."""

    TRADE = "trade"
    QUOTE = "quote"
    TICKER = "ticker"
    ORDERBOOK = "orderbook"
    CANDLE = "candle"
    FUNDING_RATE = "funding_rate"
    OPEN_INTEREST = "open_interest"
    LIQUIDATION = "liquidation"
    MARK_PRICE = "mark_price"
    INDEX_PRICE = "index_price"
    PRICE_LIMIT = "price_limit"
    INSTRUMENT = "instrument"
    BALANCE = "balance"
    POSITION = "position"
    ORDER = "order"
    FILL = "fill"

    @property
    def private(self) -> bool:
        """Whether it belongs to an account: it takes credentials, and one channel brings all symbols."""
        return self in _PRIVATE


_PRIVATE = frozenset((DataType.BALANCE, DataType.POSITION, DataType.ORDER, DataType.FILL))

EVERY = "*"
"""The symbol and native name of a channel that is for no single instrument: an account's, or all instruments'."""


@frozen
class Subscription:
    """A data type with its parameter as users write it: ``candle:1m`` is ``Subscription(CANDLE, "1m")``.

    >>> Subscription.parse("candle:1m")
    Subscription(data_type=<DataType.CANDLE: 'candle'>, params='1m')
    >>> str(Subscription.parse("trade"))
    'trade'
    """

    data_type: DataType
    params: str = ""

    @classmethod
    def parse(cls, text: str | DataType | Subscription) -> Subscription:
        """Read ``type`` or ``type:parameter``; an unknown type is a ConfigurationError that lists the known ones."""
        if isinstance(text, Subscription):
            return text
        if isinstance(text, DataType):
            return cls(text)
        name, _, params = text.partition(":")
        try:
            return cls(DataType(name), params)
        except ValueError:
            close = difflib.get_close_matches(name, list(DataType), n=1)
            hint = f"; did you mean {str(close[0])!r}?" if close else f"; known types: {', '.join(DataType)}"
            raise ConfigurationError(f"unknown data type {name!r}{hint}") from None

    def __str__(self) -> str:
        return f"{self.data_type.value}:{self.params}" if self.params else self.data_type.value


@frozen
class Channel:
    """One stream of one instrument: what a collector wants, in the words of both sides.

    ``symbol`` is the normalised name, ``native`` the venue's, ``params`` what followed the colon.
    """

    symbol: str
    native: str
    data_type: DataType
    params: str = ""

    @property
    def subscription(self) -> Subscription:
        """The data type and parameter without the instrument."""
        return Subscription(self.data_type, self.params)

    def __str__(self) -> str:
        return f"{self.subscription} {self.symbol}"


InstrumentType = Literal["spot", "perpetual", "future", "option", "index"]
InstrumentStatus = Literal["live", "preopen", "suspended", "settling", "expired", "test"]


@define
class Instrument:
    """Something a venue trades (or an index it publishes), with what is needed to read its prices and sizes.

    ``symbol`` is the normalised name, ``native`` the venue's. ``size_unit`` says what sizes of trades and books
    count: ``base`` units of the base currency, or ``contracts``, each worth ``contract_size`` units of
    ``contract_currency``. Prices move in steps of ``tick_size``, sizes in steps of ``lot_size``. ``listed`` and
    ``expiry`` are ns UTC. ``alias`` is the native name its market data comes under, where it shares another
    instrument's market. What the venue does not say is None (text: empty).
    """

    exchange: str
    symbol: str
    native: str
    type: InstrumentType
    base: str
    quote: str
    settle: str = ""
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None
    min_size: Decimal | None = None
    size_unit: Literal["base", "contracts"] = "base"
    contract_size: Decimal | None = None
    contract_currency: str = ""
    inverse: bool = False
    listed: int | None = None
    expiry: int | None = None
    strike: Decimal | None = None
    option_type: Literal["", "call", "put"] = ""
    status: InstrumentStatus = "live"
    alias: str = ""


_SYMBOL = re.compile(
    r"(?P<base>[^-\s]+)-(?P<quote>[^-\s]+)"
    r"(?:-(?P<perp>PERP)|-(?P<expiry>\d{8})(?:-(?P<strike>\d+(?:\.\d+)?)-(?P<right>[CP]))?)?"
)


def make_symbol(
    base: str,
    quote: str,
    type: InstrumentType = "spot",  # the field's word; shadows the builtin on purpose
    *,
    expiry: str = "",
    strike: Decimal | str | None = None,
    option_type: Literal["", "call", "put"] = "",
) -> str:
    """Write the normalised name of an instrument. ``expiry`` is ``YYYYMMDD``.

    >>> make_symbol("BTC", "USDT")
    'BTC-USDT'
    >>> make_symbol("BTC", "USDT", "perpetual")
    'BTC-USDT-PERP'
    >>> make_symbol("BTC", "USD", "option", expiry="20261225", strike="50000", option_type="call")
    'BTC-USD-20261225-50000-C'
    """
    if type in ("spot", "index"):
        return f"{base}-{quote}"
    if type == "perpetual":
        return f"{base}-{quote}-PERP"
    if type == "future":
        return f"{base}-{quote}-{expiry}"
    right = "C" if option_type == "call" else "P"
    return f"{base}-{quote}-{expiry}-{strike}-{right}"


def is_pattern(name: str) -> bool:
    """Tell whether a configured symbol stands for all that match it: ``*`` for any text, ``?`` for any character.

    >>> is_pattern("*-USDT-PERP"), is_pattern("BTC-USDT")
    (True, False)
    """
    return "*" in name or "?" in name


def is_symbol(text: str) -> bool:
    """Tell whether a text has the shape of a normalised symbol.

    >>> is_symbol("BTC-USDT-PERP"), is_symbol("BTCUSDT")
    (True, False)
    """
    return _SYMBOL.fullmatch(text) is not None


@define
class InstrumentTable:
    """What one venue trades, by both names. One per exchange and settings, shared by its collectors.

    ``symbols`` (native to normalised) is what ``parse`` reads on every frame. ``version`` counts listings and changes
    of status: while it stays the same, patterns match the same instruments.
    """

    exchange: str
    symbols: dict[str, str] = field(factory=dict)
    version: int = 0
    _by_symbol: dict[str, Instrument] = field(factory=dict)

    def add(self, instrument: Instrument) -> None:
        """Learn an instrument, or the new state of one already known."""
        # Indices may share a native name with a spot pair; the tradable instrument keeps the name.
        known = self._by_symbol.get(instrument.symbol)
        if known is not None and instrument.type == "index" and known.type != "index":
            return
        if known is None or known.status != instrument.status:
            self.version += 1
        self._by_symbol[instrument.symbol] = instrument
        self.symbols[instrument.native] = instrument.symbol

    def get(self, symbol: str) -> Instrument | None:
        """Look an instrument up by its normalised name."""
        return self._by_symbol.get(symbol)

    def find(self, name: str) -> Instrument:
        """Look an instrument up by either of its names; UnknownSymbolError names the nearest ones otherwise."""
        found = self._by_symbol.get(name) or self._by_symbol.get(self.symbols.get(name, ""))
        if found is None:
            upper = name.upper()
            found = self._by_symbol.get(upper) or self._by_symbol.get(self.symbols.get(upper, ""))
        if found is None:
            raise UnknownSymbolError(self.exchange, name, difflib.get_close_matches(name.upper(), self._by_symbol, n=3))
        return found

    def matching(self, pattern: str) -> list[Instrument]:
        """What trades, or soon will, under names that fit a pattern (either name, ``*`` and ``?``), sorted by symbol.

        Indices, test instruments and what has expired fit no pattern.
        """
        fits = re.compile(fnmatch.translate(pattern.replace("[", "[[]").upper())).match
        found = [
            instrument
            for instrument in self._by_symbol.values()
            if instrument.type != "index"
            and instrument.status not in ("expired", "test")
            and (fits(instrument.symbol.upper()) or fits(instrument.native.upper()))
        ]
        return sorted(found, key=lambda instrument: instrument.symbol)

    def native(self, symbol: str) -> str:
        """The venue's name for a normalised symbol; the symbol itself where the venue's list is unknown."""
        known = self._by_symbol.get(symbol)
        return known.native if known is not None else symbol

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_symbol.values())

    def __len__(self) -> int:
        return len(self._by_symbol)

    def extend(self, instruments: Iterable[Instrument]) -> None:
        """Learn many instruments."""
        for instrument in instruments:
            self.add(instrument)
