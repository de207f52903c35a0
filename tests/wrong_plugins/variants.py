"""Plugins that are right in another way than Wren, and the cases that must not mistake that for a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from attrs import evolve, frozen

from tickhive.plugin import BookSnapshot

from .faults import answering, wrong
from .full import FullWren, fully
from .wren import Wren
from .wren_venue import NumericVenue, ShallowVenue


@frozen
class Variant:
    """``passes`` are the cases it must pass."""

    name: str
    passes: Sequence[str]
    make: Callable[[], object]

    def __str__(self) -> str:
        return self.name


def _checksums_only() -> object:
    """Nothing but a checksum over the best two levels tells that a change was lost."""
    unknown = {"numbers": lambda self, session, message: (None, None), "snapshot_number": lambda self, message: None}
    return wrong(**unknown, summed=ShallowVenue.summed, venue=answering(ShallowVenue))


def _reads_its_dial() -> object:
    """What a frame means depends on the socket: without one of its own, parse cannot tell."""

    def parse(self: Any, session: Any, frame: bytes, at: int) -> Any:
        {"public": 1, "private": 2}[session.dial.key]
        return Wren.parse(self, session, frame, at)

    return wrong(parse=parse)


def _json_numbers() -> object:
    return wrong(venue=answering(NumericVenue))


def _contracts() -> object:
    """Sizes count contracts, which are worth a hundredth of a coin."""

    def listed(self: Any, session: Any, row: Any, at: int) -> Any:
        found = Wren.listed(self, session, row, at)
        terms = {"size_unit": "contracts", "contract_size": Decimal("0.01"), "lot_size": None}
        return evolve(found, instrument=evolve(found.instrument, contract_currency=found.instrument.base, **terms))

    def volumes(self: Any, base: Decimal, quote: Decimal) -> Any:
        return self.number(base) * 100, self.number(base), self.number(quote)

    return fully(listed=listed, volumes=volumes)


def _composed_ids() -> object:
    """A venue that gives trades no id: one is made of all that sets them apart."""

    def trade_id(self: Any, row: Any, message: Any) -> str:
        return f"{message.t}-{row.price}-{row.size}-{row.id}"

    return wrong(trade_id=trade_id)


def _no_times() -> object:
    """Whole books come without a time."""

    def book(self: Any, session: Any, message: Any, at: int) -> Any:
        found = Wren.book(self, session, message, at)
        return [evolve(each, timestamp=None) if isinstance(each, BookSnapshot) else each for each in found]

    return wrong(book=book)


def _one_sided() -> object:
    """Quotes of a side without orders, and of both sides at one price."""

    def quote(self: Any, session: Any, message: Any, about: Any) -> Any:
        (told,) = FullWren.quote(self, session, message, about)
        if int(told.bid_size * 10_000) % 3 == 0:
            return [evolve(told, bid=None, bid_size=None)]
        return [evolve(told, bid=told.ask)] if int(told.bid_size * 10_000) % 3 == 1 else [told]

    return fully(quote=quote)


VARIANTS = (
    Variant("contracts", ("TH-410", "TH-413", "TH-414", "TH-415", "TH-707"), _contracts),
    Variant("composed ids", ("TH-411", "TH-417"), _composed_ids),
    Variant("no times", ("TH-403", "TH-416"), _no_times),
    Variant("one-sided quotes", ("TH-404", "TH-405", "TH-407", "TH-413"), _one_sided),
    Variant("checksums only", ("TH-601", "TH-603", "TH-604", "TH-606", "TH-607"), _checksums_only),
    Variant(
        "reads its dial",
        ("TH-205", "TH-301", "TH-302", "TH-305", "TH-405", "TH-412", "TH-507", "TH-603", "TH-702", "TH-801", "TH-901"),
        _reads_its_dial,
    ),
    Variant("json numbers", ("TH-303", "TH-404", "TH-405", "TH-410", "TH-412", "TH-801"), _json_numbers),
)
