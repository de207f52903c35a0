"""What one collector is to collect, checked as a whole before anything is created."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from attrs import define, field, setters

from tickhive.channels import EVERY, Channel, Subscription
from tickhive.errors import ConfigurationError

HOOK_DEADLINE_SECONDS = 10.0
"""How long a hook may run before it is ended, where nothing else is configured."""

_PROXY = re.compile(r"(https?|socks5h?)://\S+")


def _private(subscription: Subscription) -> bool:
    return subscription.data_type.private


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
    ``account`` names the account whose credentials are used; private data types (balance, position, order, fill) need
    one, and no symbols when there are no others. The secrets themselves are never part of a configuration.
    A hook of the plugin that holds the event loop for more than ``blocked_seconds`` blocks it; ``blocked_times`` of
    that within a minute end the collector, so that the others can work. So does a single one that has not returned
    after ``hook_deadline_seconds``: it is ended where it stands.
    ``redundancy`` 2 keeps two sockets for everything, at two addresses where the exchange has them: what one loses the
    other brings.

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
    account: str | None = None
    redundancy: int = 1
    blocked_seconds: float = 0.5
    blocked_times: int = 3
    hook_deadline_seconds: float = HOOK_DEADLINE_SECONDS
    subscriptions: tuple[Subscription, ...] = field(init=False, default=())

    def __attrs_post_init__(self) -> None:
        """Check every field, then put symbols and subscriptions in order."""
        problems: list[str] = []
        if not isinstance(self.exchange, str) or not self.exchange.strip():
            problems.append("exchange: expected the name of an exchange")
        unknown: list[str] = []
        subscriptions = self._check_data_types(unknown)
        symbols = self._check_symbols(subscriptions, problems)
        problems += unknown
        self._check_account(subscriptions, problems)
        self._check_options(problems)
        if problems:
            raise ConfigurationError(problems)
        object.__setattr__(self, "symbols", symbols)
        object.__setattr__(self, "subscriptions", subscriptions)
        object.__setattr__(self, "settings", dict(self.settings))

    @property
    def default_name(self) -> str:
        """The collector's name where none is given: exchange, first symbol, how many more there are, account."""
        more = f"+{len(self.symbols) - 1}" if len(self.symbols) > 1 else ""
        symbols = f":{self.symbols[0]}{more}" if self.symbols else ""
        return f"{self.exchange}{symbols}{f'@{self.account}' if self.account else ''}"

    def channels(self) -> tuple[Channel, ...]:
        """What it asks for: each symbol, as it is written here, with each data type; an account's data once."""
        private = [Channel(EVERY, EVERY, each.data_type, each.params) for each in self.subscriptions if _private(each)]
        public = [each for each in self.subscriptions if not _private(each)]
        return (
            *private,
            *(Channel(symbol, symbol, each.data_type, each.params) for symbol in self.symbols for each in public),
        )

    def _check_account(self, subscriptions: Sequence[Subscription], problems: list[str]) -> None:
        if self.account is not None and (not isinstance(self.account, str) or not self.account.strip()):
            problems.append("account: expected the name of an account")
        private = [str(each) for each in subscriptions if _private(each)]
        if private and self.account is None:
            belong = "belongs" if len(private) == 1 else "belong"
            problems.append(
                f"account: {', '.join(private)} {belong} to an account; name it here and say in [accounts.NAME], or "
                "with the argument credentials, where its secrets are"
            )

    def _check_symbols(self, subscriptions: Sequence[Subscription], problems: list[str]) -> tuple[str, ...]:
        if not isinstance(self.symbols, tuple):
            problems.append("symbols: expected a list of symbols; a single one is given as symbol")
            return ()
        named = [(f"symbols[{index}]", symbol) for index, symbol in enumerate(self.symbols)]
        if self.symbol is not None:
            named.insert(0, ("symbol", self.symbol))
        if not named and not (subscriptions and all(map(_private, subscriptions))):
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
        for name in ("silence_seconds", "blocked_seconds", "hook_deadline_seconds"):
            seconds = getattr(self, name)
            if isinstance(seconds, bool) or not isinstance(seconds, int | float):
                problems.append(f"{name}: expected a number of seconds")
            elif not (math.isfinite(seconds) and seconds > 0):
                problems.append(f"{name}: expected a number of seconds above 0, got {seconds}")
        times = self.blocked_times
        if isinstance(times, bool) or not isinstance(times, int) or times < 1:
            problems.append(f"blocked_times: expected a whole number above 0, got {times!r:.60}")
        if isinstance(self.redundancy, bool) or self.redundancy not in (1, 2):
            problems.append(f"redundancy: expected 1 or 2, got {self.redundancy!r:.60}")
        if self.transport not in ("fast", "plain"):
            problems.append(f"transport: expected 'fast' or 'plain', got {self.transport!r:.60}")
        if self.proxy is not None and not (isinstance(self.proxy, str) and _PROXY.fullmatch(self.proxy)):
            problems.append("proxy: expected an address that begins with http://, https:// or socks5://")
