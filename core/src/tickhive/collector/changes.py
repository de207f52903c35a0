"""A configuration with more or with fewer symbols and data types, for collectors that change while they run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from attrs import evolve

from tickhive.channels import Subscription
from tickhive.collector.wanted import listed
from tickhive.errors import ConfigurationError
from tickhive.exchanges.config import ExchangeCollectorConfig


def several(what: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names as they were given; ConfigurationError for a single text, which is a sequence too, of letters."""
    if isinstance(names, str):
        raise ConfigurationError(f"{what}: expected a list, such as [{names!r:.60}]")
    return tuple(names)


def with_more(
    config: ExchangeCollectorConfig, symbols: Sequence[str], data_types: Sequence[str]
) -> ExchangeCollectorConfig:
    """The configuration with these as well; ConfigurationError when one of them cannot be one."""
    return evolve(
        config,
        symbol=None,
        symbols=(*config.symbols, *symbols),
        data_types=(*map(str, config.subscriptions), *data_types),
    )


def with_fewer(
    config: ExchangeCollectorConfig, symbols: Collection[str], data_types: Collection[str], name: str
) -> ExchangeCollectorConfig:
    """The configuration without these; ConfigurationError when it has one of them not, or would have nothing left."""
    have = {str(each) for each in config.subscriptions}
    types = {str(Subscription.parse(text)) for text in data_types}
    strange = [*sorted(set(symbols) - set(config.symbols)), *sorted(types - have)]
    if strange:
        raise ConfigurationError(f"{name} does not collect {listed(strange)}", source=name)
    try:
        return evolve(
            config,
            symbol=None,
            symbols=tuple(symbol for symbol in config.symbols if symbol not in symbols),
            data_types=tuple(str(each) for each in config.subscriptions if str(each) not in types),
        )
    except ConfigurationError:
        raise ConfigurationError("nothing would be left to collect; stop it instead", name) from None
