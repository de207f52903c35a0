"""What one socket is subscribed to, where several channels share a subscription of the venue.

All symbols of an instrument type, ticker and quote, an account's orders and fills: the venue sends such channels under
one name, which one request asks for and which is given up with the last of them. A channel that is added later asks for
its name once more: the answer to that confirms it. Nobody has to use it. ``memory`` answers a ``Subscribed`` (or a
class made from it that remembers more), ``subscribe`` and ``unsubscribe`` ask it:

>>> from tickhive.channels import DataType
>>> ticker, quote = (Channel("BTC-USD", "BTC-USD", kind) for kind in (DataType.TICKER, DataType.QUOTE))
>>> here = Subscribed[str]()
>>> here.add(by_name([ticker, quote], lambda channel: f"ticker.{channel.native}"))
>>> [channel.data_type.value for channel in here.carried("ticker.BTC-USD")]
['ticker', 'quote']
>>> here.release({"ticker.BTC-USD": [quote]})
{}
>>> here.release({"ticker.BTC-USD": [ticker]}) == {"ticker.BTC-USD": [ticker]}
True
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Generic, TypeVar

from attrs import define, field

from tickhive.channels import Channel

Name = TypeVar("Name", bound=Hashable)


def by_name(channels: Iterable[Channel], name_of: Callable[[Channel], Name]) -> dict[Name, list[Channel]]:
    """The venue's names for channels, each once with those it brings, in their order."""
    named: dict[Name, list[Channel]] = {}
    for channel in channels:
        named.setdefault(name_of(channel), []).append(channel)
    return named


@define(eq=False)
class Subscribed(Generic[Name]):
    """The channels behind each of the venue's names on one socket."""

    channels: dict[Name, list[Channel]] = field(factory=dict)

    def carried(self, name: Name) -> Sequence[Channel]:
        """The channels this name brings; none where nobody here asked, as in a recording."""
        return self.channels.get(name, ())

    def add(self, asked: Mapping[Name, Iterable[Channel]]) -> None:
        """Note that channels are asked for."""
        for name, channels in asked.items():
            self.channels[name] = list(dict.fromkeys([*self.carried(name), *channels]))

    def release(self, leaving: Mapping[Name, list[Channel]]) -> dict[Name, list[Channel]]:
        """Note that channels are given up; answers the names that no other needs, to be given up at the venue."""
        gone: dict[Name, list[Channel]] = {}
        for name, channels in leaving.items():
            going = set(channels)
            rest = [channel for channel in self.carried(name) if channel not in going]
            if rest:
                self.channels[name] = rest
            else:
                self.channels.pop(name, None)
                gone[name] = channels
        return gone
