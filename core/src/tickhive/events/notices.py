"""What is said about the data itself: what is missing of it, and how its subscriptions stand."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import define

from tickhive.channels import DataType

Filled: TypeAlias = Literal["none", "part", "whole"]


@define
class Gap:
    """A hole in the data of one symbol and type: from ``start`` to ``end`` (ns UTC, None where unknown), by the venue's
    clock where its events have times, else by ours.

    ``first_id`` and ``last_id`` bound it in the venue's own ids or sequence numbers. ``cause`` is a short phrase,
    ``filled`` says how much of it was fetched afterwards.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    data_type: DataType
    start: int | None
    end: int | None
    cause: str
    first_id: str | None = None
    last_id: str | None = None
    filled: Filled = "none"
    params: str = ""


@define
class SubscriptionUpdate:
    """A subscription came into another state (``wanted``, ``asked``, ``acknowledged``, ``receiving``, ``silent``,
    ``rejected``); ``reason`` says why, where there is something to say.

    Goes to those who take all data types: it is about the data and never part of it.
    """

    exchange: str
    symbol: str
    timestamp: int | None
    received: int
    data_type: DataType
    params: str
    state: str
    reason: str | None = None
