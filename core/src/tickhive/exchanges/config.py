"""What one collector is to collect, checked as a whole before anything is created."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import define, field, setters

from tickhive.channels import Subscription
from tickhive.errors import ConfigurationError

_PROXY = re.compile(r"(https?|socks[45][ah]?)://\S+")


def _as_tuple(value: Any) -> Any:
    """A list as a tuple; whatever else is given stays for the check to name."""
    return tuple(value) if isinstance(value, list | tuple | set | frozenset) else value


@define(kw_only=True, on_setattr=setters.frozen)
class ExchangeCollectorConfig:
    """Which data of which symbols of one exchange a collector collects, and how.

    ``symbol`` and ``symbols`` are added up, normalised or in the venue's own names, each kept once. ``data_types`` are
    ``DataType`` values or texts with a parameter, ``"candle:1m"``; ``subscriptions`` is what they mean. ``name`` tells
    collectors apart (default: ``default_name``). ``settings`` are the exchange's own settings for this collector and
    go before those of ``[exchanges.NAME]``. A subscription without data for ``silence_seconds`` makes the collector
    unhealthy. ``transport`` ``plain`` is the library's own receive path instead of the fast one. ``proxy`` is an
    address such as ``socks5://host:1080``; like ``settings`` it may hold a secret and is left out of the repr.

    Raises ConfigurationError (a ValueError) whose ``problems`` list everything that is wrong, each by its field.

    >>> from tickhive.channels import DataType
    >>> config = ExchangeCollectorConfig(exchange="acme", symbol="BTC-USDT", data_types=[DataType.TRADE, "candle:1m"])
    >>> config.symbols, config.default_name
    (('BTC-USDT',), 'acme:BTC-USDT')
    >>> [str(subscription) for subscription in config.subscriptions]
    ['trade', 'candle:1m']
    """

    exchange: str
    symbol: str | None = None
    symbols: Sequence[str] = field(default=(), converter=_as_tuple)
    data_types: Sequence[str] = field(default=(), converter=_as_tuple)
    auto_restart: bool = True
    name: str | None = None
    settings: Mapping[str, Any] = field(factory=dict, repr=False)
    verify_checksums: bool = True
    silence_seconds: float = 60.0
    transport: Literal["fast", "plain"] = "fast"
    proxy: str | None = field(default=None, repr=False)
    subscriptions: tuple[Subscription, ...] = field(init=False, default=())

    def __attrs_post_init__(self) -> None:
        """Check every field, then put symbols and subscriptions in order."""
        problems: list[str] = []
        if not isinstance(self.exchange, str) or not self.exchange.strip():
            problems.append("exchange: expected the name of an exchange")
        symbols = self._check_symbols(problems)
        subscriptions = self._check_data_types(problems)
        self._check_options(problems)
        if problems:
            raise ConfigurationError(problems)
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "subscriptions", subscriptions)
        object.__setattr__(self, "settings", dict(self.settings))

    @property
    def default_name(self) -> str:
        """The collector's name where none is given: exchange and first symbol, and how many more there are."""
        more = f"+{len(self.symbols) - 1}" if len(self.symbols) > 1 else ""
        return f"{self.exchange}:{self.symbols[0]}{more}"

    def _check_symbols(self, problems: list[str]) -> tuple[str, ...]:
        if not isinstance(self.symbols, tuple):
            problems.append("symbols: expected a list of symbols; a single one is given as symbol")
            return ()
        named = [(f"symbols[{index}]", symbol) for index, symbol in enumerate(self.symbols)]
        if self.symbol is not None:
            named.insert(0, ("symbol", self.symbol))
        if not named:
            problems.append("symbols: expected at least one symbol")
        for path, symbol in named:
            if not isinstance(symbol, str) or not symbol or any(c.isspace() or not c.isprintable() for c in symbol):
                problems.append(f"{path}: expected a symbol without spaces, such as 'BTC-USDT', got {symbol!r:.60}")
        return tuple(dict.fromkeys(symbol for _, symbol in named if isinstance(symbol, str)))

    def _check_data_types(self, problems: list[str]) -> tuple[Subscription, ...]:
        if not isinstance(self.data_types, tuple):
            problems.append("data_types: expected a list of data types, such as ['trade', 'candle:1m']")
            return ()
        if not self.data_types:
            problems.append("data_types: expected at least one data type, such as 'trade'")
        found: list[Subscription] = []
        for index, text in enumerate(self.data_types):
            if not isinstance(text, str):
                problems.append(f"data_types[{index}]: expected a data type, got {text!r:.60}")
                continue
            try:
                found.append(Subscription.parse(text))
            except ConfigurationError as error:
                problems += [f"data_types[{index}]: {problem}" for problem in error.problems]
        return tuple(dict.fromkeys(found))

    def _check_options(self, problems: list[str]) -> None:
        for name in ("auto_restart", "verify_checksums"):
            if not isinstance(getattr(self, name), bool):
                problems.append(f"{name}: expected True or False")
        if self.name is not None and (not isinstance(self.name, str) or not self.name.strip()):
            problems.append("name: expected a text that is not empty")
        if not isinstance(self.settings, Mapping) or not all(isinstance(key, str) for key in self.settings):
            problems.append("settings: expected a table of the exchange's settings")
        seconds = self.silence_seconds
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            problems.append("silence_seconds: expected a number of seconds")
        elif not (math.isfinite(seconds) and seconds > 0):
            problems.append(f"silence_seconds: expected a number of seconds above 0, got {seconds}")
        if self.transport not in ("fast", "plain"):
            problems.append(f"transport: expected 'fast' or 'plain', got {self.transport!r:.60}")
        if self.proxy is not None and not (isinstance(self.proxy, str) and _PROXY.fullmatch(self.proxy)):
            problems.append("proxy: expected an address that begins with http://, https:// or socks5://")
