"""The hooks Binance answers, once for each of its three markets; each hook is written in the file of its idea."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from tickhive.plugin import SimulatedVenue, VenueOptions, hookimpl
from tickhive_binance.login import sign
from tickhive_binance.parsing import parse
from tickhive_binance.rest import backfill, heartbeat, instruments, limits, poll, read, refused, snapshot
from tickhive_binance.settings import BinanceSettings, CoinmSettings, SpotSettings, UsdmSettings
from tickhive_binance.sockets import connect, memory, subscribe, unsubscribe

TICKHIVE_API = 1


class Binance:
    """One market of Binance. What differs between the markets is in the ``Market`` its settings name."""

    backfill = staticmethod(backfill)
    connect = staticmethod(connect)
    heartbeat = staticmethod(heartbeat)
    instruments = staticmethod(instruments)
    limits = staticmethod(limits)
    memory = staticmethod(memory)
    parse = staticmethod(parse)
    poll = staticmethod(poll)
    read = staticmethod(read)
    refused = staticmethod(refused)
    sign = staticmethod(sign)
    snapshot = staticmethod(snapshot)
    subscribe = staticmethod(subscribe)
    unsubscribe = staticmethod(unsubscribe)

    def __init__(self, form: type[BinanceSettings]) -> None:
        """``form`` is the settings class of the market."""
        self._form = form

    def __repr__(self) -> str:
        return f"<{self._form.market.title}>"

    @hookimpl
    def settings(self) -> type:
        """The attrs class of the market's table in the configuration."""
        return self._form

    @hookimpl
    def hosts(self) -> Sequence[str]:
        """Every host whose recordings are of this market."""
        market = self._form.market
        places = (
            urlsplit(address).hostname
            for found in market.addresses.values()
            for address in (found.streams, found.rest, found.account)
        )
        return (*dict.fromkeys(host for host in places if host), *market.other_hosts)

    @hookimpl
    def venue(self, options: VenueOptions) -> SimulatedVenue:
        """The simulated market, imported here because only demos and tests need it."""
        from tickhive_binance.venue import BinanceVenue

        return BinanceVenue(self._form.market.name, options)


spot = Binance(SpotSettings)
usdm = Binance(UsdmSettings)
coinm = Binance(CoinmSettings)
