"""What Template says, by WebSocket and by REST, as types: whatever has another shape is refused while it is decoded.

Source: https://docs.template.example (made up), read on 2026-11-22.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias, get_args

import msgspec
from msgspec import Meta, Raw, Struct

from tickhive.plugin import Level, Side

# LEAST and MOST: ``Decimal`` by itself takes "NaN" and "1e999999" for numbers too.
from tickhive.plugin.reading import LEAST, MOST, Count, Millis

Name: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Z0-9]+$", max_length=20)]
"""A currency."""


# Many of these live for a moment only; without gc they cost the garbage collector nothing.
class Message(Struct, tag_field="type", gc=False):
    """A frame. Its field ``type`` says which of the following it is."""


class Trade(Message, tag="trade"):
    """An execution. Ids count by one in each market; ``side`` is the taker's."""

    market: str
    id: Count
    time: Millis
    side: Side
    price: Decimal  # exact: a float would round
    size: Decimal

    def __post_init__(self) -> None:
        if not (LEAST < self.price < MOST and LEAST < self.size < MOST):
            raise ValueError("price or size is out of all reason")


class Snapshot(Message, tag="snapshot"):
    """A whole order book. It comes first after a subscription."""

    market: str
    number: Count
    time: Millis
    bids: list[Level]
    asks: list[Level]


class Update(Message, tag="update"):
    """The levels of a book that changed, size 0 deletes. ``number`` is one more than that of what came before."""

    market: str
    number: Count
    time: Millis
    bids: list[Level]
    asks: list[Level]


class Subscribed(Message, tag="subscribed"):
    """The request with this id was granted."""

    id: str


class Unsubscribed(Message, tag="unsubscribed"):
    """The request with this id was granted: nothing more comes."""

    id: str


class Refused(Message, tag="refused"):
    """The request with this id was not granted."""

    id: str
    code: str
    reason: str


class Pong(Message, tag="pong"):
    """The answer to a ping."""


class Kind(Struct, gc=False):
    """No more of a frame than which one it is."""

    type: str


class Market(Struct, gc=False):
    """A pair that is traded. Prices move in steps of ``tick``, sizes, in base currency, in steps of ``lot``."""

    market: str
    base: Name
    quote: Name
    tick: Decimal
    lot: Decimal

    def __post_init__(self) -> None:
        if not (LEAST < self.tick < MOST and LEAST < self.lot < MOST):
            raise ValueError("tick or lot is out of all reason")


class Markets(Struct, gc=False):
    """The answer to ``GET /v1/markets``."""

    markets: list[Raw]  # read one by one: a bad one costs no other


class Trades(Struct, gc=False):
    """The answer to ``GET /v1/trades``: oldest first, at most a hundred; their ``type`` is left out."""

    trades: list[Raw]


Frame: TypeAlias = Trade | Update | Snapshot | Subscribed | Unsubscribed | Refused | Pong
KINDS = {kind.__struct_config__.tag for kind in get_args(Frame)}
"""The types of frames there are, as they are written."""

# A decoder is made once, not for every frame.
decode_frame = msgspec.json.Decoder(Frame).decode
decode_kind = msgspec.json.Decoder(Kind).decode
decode_markets = msgspec.json.Decoder(Markets).decode
decode_market = msgspec.json.Decoder(Market).decode
decode_trades = msgspec.json.Decoder(Trades).decode
decode_trade = msgspec.json.Decoder(Trade).decode
