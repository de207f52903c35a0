"""Plugins that are right in another way than Wren, and the cases that must not mistake that for a fault."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import frozen

from .faults import answering, wrong
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


VARIANTS = (
    Variant("checksums only", ("TH-601", "TH-603", "TH-604", "TH-606", "TH-607"), _checksums_only),
    Variant(
        "reads its dial",
        ("TH-205", "TH-301", "TH-302", "TH-305", "TH-405", "TH-412", "TH-507", "TH-603", "TH-702", "TH-801", "TH-901"),
        _reads_its_dial,
    ),
    Variant("json numbers", ("TH-303", "TH-404", "TH-405", "TH-410", "TH-412", "TH-801"), _json_numbers),
)
