"""Which channels a configuration means: names, patterns and accounts turned into channels of the venue."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from tickhive.channels import EVERY, Channel, DataType, InstrumentTable, is_pattern
from tickhive.errors import UnknownSymbolError
from tickhive.exchanges.config import ExchangeCollectorConfig


@define
class Wanted:
    """``channels`` are those to collect. ``set_aside`` names what cannot be had, each with the reason. ``listings`` are
    channels that tell of instruments a pattern may come to mean; their events are for the collector alone.
    """

    channels: dict[Channel, None] = field(factory=dict)
    set_aside: dict[str, str] = field(factory=dict)
    listings: dict[Channel, None] = field(factory=dict)


def resolve(config: ExchangeCollectorConfig, instruments: InstrumentTable, listings: Iterable[Channel] = ()) -> Wanted:
    """Look a configuration's symbols up. Where the venue gives no list, symbols are taken as its own names.

    A pattern stands for all that matches it now. A private data type is one channel for the whole account. A listings
    channel is for ``EVERY`` instrument of the kind its native name is an example of; ``listings`` are those there are,
    which are kept where they serve.
    """
    wanted = Wanted()
    kinds: dict[str, Channel] = {}
    public = [each for each in config.subscriptions if not each.data_type.private]
    names: dict[str, str] = {}
    for symbol in config.symbols if public else ():
        try:
            names |= _names(symbol, instruments, wanted, kinds)
        except UnknownSymbolError as error:
            wanted.set_aside[symbol] = str(error)
    kept = {kind: channel for channel in listings if (kind := _kind(channel, instruments)) in kinds}
    wanted.listings = dict.fromkeys((kinds | kept).values())
    for each in config.subscriptions:
        if each.data_type.private:
            wanted.channels[Channel(EVERY, EVERY, each.data_type, each.params)] = None
    for symbol, native in names.items():
        for each in public:
            wanted.channels[Channel(symbol, native, each.data_type, each.params)] = None
    return wanted


def _names(symbol: str, instruments: InstrumentTable, wanted: Wanted, kinds: dict[str, Channel]) -> dict[str, str]:
    """Normalised and native names of what a configured symbol stands for; a pattern's kinds are noted in ``kinds``."""
    if is_pattern(symbol):
        found = instruments.matching(symbol)
        if not len(instruments):
            wanted.set_aside[symbol] = f"{symbol}: patterns need a list of instruments; {instruments.exchange} has none"
        elif not found:
            wanted.set_aside[symbol] = f"{instruments.exchange} lists nothing that matches {symbol} now"
        for instrument in found:
            kinds.setdefault(instrument.type, Channel(EVERY, instrument.native, DataType.INSTRUMENT))
        return {instrument.symbol: instrument.native for instrument in found}
    if not len(instruments):
        return {symbol: symbol}
    instrument = instruments.find(symbol)
    return {instrument.symbol: instrument.native}


def _kind(channel: Channel, instruments: InstrumentTable) -> str:
    """The type of instrument a listings channel tells of."""
    return instruments.find(channel.native).type


def listed(names: Iterable[str], most: int = 5) -> str:
    """Names in a sentence, the first ``most`` of them and how many more there are."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
