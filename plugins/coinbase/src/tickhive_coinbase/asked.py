"""What one socket has asked for, and what the venue's answers mean for it.

Both exchanges answer a request without an id: with the complete list of what the socket is subscribed to, or with an
error that names nothing. They answer in the order of the requests, so an error is about the oldest one that the lists
have not shown to be done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from attrs import define, field

from tickhive.channels import Channel, DataType
from tickhive.plugin import Accepted, Event, Rejected, Unknown, Unsubscribed
from tickhive.plugin.subscribed import Subscribed
from tickhive_coinbase.refusals import kind_of
from tickhive_coinbase.wires import Key, Wire


@define(eq=False)
class Asking:
    """A request without its answer. ``keys`` are those the venue's lists have not shown yet, each with our channels."""

    giving_up: bool
    keys: dict[Key, list[Channel]]


@define(eq=False)
class Asked(Subscribed[Key]):
    """The memory of one socket.

    ``names`` are the names each of the venue's channels is listed under. ``beating``: the heartbeat was asked for.
    ``account``: this socket carries an account's channels.
    """

    names: dict[str, tuple[str, ...]] = field(factory=dict)
    open: list[Asking] = field(factory=list)
    beating: bool = False
    account: bool = False
    alone: set[Key] = field(factory=set)

    def ask(self, wire: Wire, keys: Mapping[Key, list[Channel]]) -> None:
        """Note a request for one of the venue's channels; it takes the place of earlier ones for the same."""
        self.names[wire.name] = (wire.name, *wire.acked)
        self.add(keys)
        for earlier in self.open:
            if not earlier.giving_up:
                earlier.keys = {key: asked for key, asked in earlier.keys.items() if key not in keys}
        self._note(Asking(False, dict(keys)))

    def beat(self, products: Sequence[str] = ("",)) -> None:
        """Note the request for the heartbeat, of these products where it is one of products. Nobody waits for it."""
        self.beating = True
        self._note(Asking(False, {("heartbeat", product): [] for product in products}))

    def give_up(self, keys: Mapping[Key, list[Channel]]) -> None:
        """Note a request to send these no more."""
        self._note(Asking(True, dict(keys)))

    def wants(self, key: Key, data_type: DataType) -> bool:
        """Whether a channel was asked for as this type; true where nobody here asked, as in a recording."""
        return not self.names or any(channel.data_type is data_type for channel in self.carried(key))

    # Answers

    def listed_now(self, state: Mapping[str, Collection[str]]) -> list[Event]:
        """Read the complete list of what is subscribed: channel names, each with its products."""
        accepted: list[Channel] = []
        gone: list[Channel] = []
        waiting: set[Key] = set()
        for asking in self.open:
            for key in list(asking.keys):
                if self._is_listed(key, state) != asking.giving_up and key not in waiting:
                    (gone if asking.giving_up else accepted).extend(asking.keys.pop(key))
                else:
                    waiting.add(key)
        self._forget()
        events: list[Event] = []
        if accepted:
            events.append(Accepted(None, accepted))
        if gone:
            events.append(Unsubscribed(None, gone))
        return events

    def refused(self, reason: str) -> list[Event]:
        """Read an error: it is about the oldest request without an answer, or about the one with the product it names.

        Where it names a product, the others of that request were refused with it, and are asked for again; where it
        names none, each of them is asked for again alone.
        """
        kind = kind_of(reason)
        named = {key for asking in self.open for key in asking.keys if key[1] and _names(reason, key[1])}
        blamed = next((each for each in self.open if named & each.keys.keys()), None) or next(iter(self.open), None)
        if blamed is None:
            return [Rejected(reason, kind)]
        self.open.remove(blamed)
        channels = ours(blamed.keys)
        if not channels:
            self.beating = False
            return [Rejected(reason, kind)] if kind == "credentials" else [Unknown(f"no heartbeat: {reason}"[:200])]
        if blamed.giving_up or kind not in ("request", "symbol"):
            return [Rejected(reason, kind, None, channels)]
        self.release(blamed.keys)
        bad = blamed.keys if len(blamed.keys) == 1 else {key: blamed.keys[key] for key in blamed.keys if key in named}
        rest = {key: blamed.keys[key] for key in blamed.keys if key not in bad}
        if not bad:
            self.alone.update(rest)
        events: list[Event] = []
        if bad:
            events.append(Rejected(reason, "symbol" if bad.keys() & named else kind, None, ours(bad)))
        if rest:
            events.append(Rejected(f"refused together with others: {reason}"[:500], "retry", None, ours(rest)))
        return events

    def _is_listed(self, key: Key, state: Mapping[str, Collection[str]]) -> bool:
        name, native = key
        for known in self.names.get(name, (name,)):
            products = state.get(known)
            if products is not None and (not native or native in products):
                return True
        return name == "heartbeat" and "heartbeats" in state

    def _note(self, asking: Asking) -> None:
        self.open.append(asking)
        self._forget()

    def _forget(self) -> None:
        self.open = [asking for asking in self.open if asking.keys]


def _names(reason: str, native: str) -> bool:
    """Whether an error's text names a product, not merely one whose name begins like it."""
    return re.search(rf"(?<![\w-]){re.escape(native)}(?![\w-])", reason[:2_000]) is not None


def grouped(
    channels: Sequence[Channel], wire_for: Callable[[Channel], Wire], product: Callable[[Channel], str]
) -> dict[Wire, dict[Key, list[Channel]]]:
    """Ours by the venue's channels that bring them, those of one name together. ``product`` is what it is asked for."""
    by_name: dict[str, Wire] = {}
    groups: dict[Wire, dict[Key, list[Channel]]] = {}
    for channel in channels:
        wire = wire_for(channel)
        wire = by_name.setdefault(wire.name, wire)
        groups.setdefault(wire, {}).setdefault(wire.key(product(channel)), []).append(channel)
    return groups


def cut(keys: Mapping[Key, list[Channel]], size: int, alone: Collection[Key]) -> Iterator[dict[Key, list[Channel]]]:
    """Pieces of at most ``size`` of the venue's channels each, some of which stand alone."""
    together = [item for item in keys.items() if item[0] not in alone]
    for start in range(0, len(together), size):
        yield dict(together[start : start + size])
    for key in keys:
        if key in alone:
            yield {key: keys[key]}


def ours(keys: Mapping[Key, list[Channel]]) -> list[Channel]:
    """All of ours that these bring."""
    return [channel for channels in keys.values() for channel in channels]
