"""What Coinbase does not send as it is asked for: one thing twice, or an account's data without its key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tickhive.channels import Channel, DataType
from tickhive.plugin import Credentials
from tickhive_coinbase.wires import WireFor


def refuse_pairs(exchange: str, channels: Iterable[Channel]) -> None:
    """A symbol has one order book and one ticker: raise ValueError for what would come twice under one name."""
    chosen: dict[tuple[DataType, str], Channel] = {}
    for channel in channels:
        if channel.data_type in (DataType.ORDERBOOK, DataType.TICKER):
            other = chosen.setdefault((channel.data_type, channel.symbol), channel)
            if other.params != channel.params:
                both = f"{other.subscription} or {channel.subscription}"
                raise ValueError(
                    f"{exchange}: of {channel.symbol} there is one {channel.data_type.value}: {both}, not both"
                )


def refuse_half_a_key(
    exchange: str,
    channels: Iterable[Channel],
    wire_for: WireFor,
    credentials: Credentials | None,
    parts: Sequence[str],
) -> None:
    """What is only sent after a login needs a whole API key: ``parts`` are those it has here."""
    channel = next((channel for channel in channels if wire_for(channel).login), None)
    if channel is None:
        return
    login = f"{exchange} sends {channel.subscription} only to those who sign in"
    if credentials is None:
        raise ValueError(f"{login}: name an account")
    lacking = ", ".join(part for part in parts if not getattr(credentials, part))
    if lacking:
        raise ValueError(f"{login}: account {credentials.account!r} has no {lacking}")
