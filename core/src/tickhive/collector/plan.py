"""What a configuration takes: its channels, the sockets that carry them, the polls for the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import define, field

from tickhive.channels import Channel
from tickhive.collector.access import VenueAccess
from tickhive.collector.faults import ask
from tickhive.collector.wanted import Wanted, listed, resolve
from tickhive.errors import ConfigurationError, PluginError
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Dial, Poll


@define
class Plan:
    """``channels`` are those to collect, ``listings`` those that only keep the instruments right, ``dials`` the sockets
    for both, ``polls`` what no socket carries. ``set_aside`` names what cannot be had, each with the reason.
    ``version`` is the state of the instrument list this was made from.
    """

    channels: tuple[Channel, ...] = ()
    listings: frozenset[Channel] = frozenset()
    dials: Sequence[Dial] = ()
    polls: dict[Channel, Poll] = field(factory=dict)
    set_aside: dict[str, str] = field(factory=dict)
    version: int = 0


async def make_plan(config: ExchangeCollectorConfig, access: VenueAccess, dials: Sequence[Dial], before: Plan) -> Plan:
    """Ask the plugin, making the requests it needs first. ``dials`` are the sockets there are, to be kept, ``before``
    is the plan they came from.

    One symbol or channel that cannot be had is set aside and costs no other. ConfigurationError when nothing of what
    the plugin was asked for can be had, PluginError when it forgets a channel, FetchError when a request fails.
    """
    version = access.instruments.version
    wanted = resolve(config, access.instruments, before.listings)
    polls = {channel: poll for channel in wanted.channels if (poll := _poll(access, channel)) is not None}
    planned = await _dials(config, access, wanted, polls, dials)
    return Plan(tuple(wanted.channels), frozenset(wanted.listings), planned, polls, wanted.set_aside, version)


def refusals(access: VenueAccess, channels: Sequence[Channel]) -> list[str]:
    """Why the plugin will not have some of these channels, each reason once."""
    found = (_refusal(access, channel) for channel in channels if _poll(access, channel) is None)
    return list(dict.fromkeys(why for why in found if why is not None))


async def _dials(
    config: ExchangeCollectorConfig,
    access: VenueAccess,
    wanted: Wanted,
    polls: dict[Channel, Poll],
    dials: Sequence[Dial],
) -> list[Dial]:
    asked = _streamed(wanted, polls)
    if not asked:
        return []
    try:
        answer = _connect(access, asked, dials)
    except ValueError as error:
        refusals = {channel: why for channel in asked if (why := _refusal(access, channel)) is not None}
        wanted.listings = {channel: None for channel in wanted.listings if channel not in refusals}
        for channel in [channel for channel in wanted.channels if channel in refusals]:
            wanted.set_aside[str(channel)] = refusals[channel]
            del wanted.channels[channel]
        asked = _streamed(wanted, polls)
        if not refusals or not asked:
            raise ConfigurationError(str(error), source=config.name or config.default_name) from error
        answer = _connect(access, asked, dials)
    found: list[Dial] = []
    for item in answer or ():
        if isinstance(item, Dial):
            found.append(item)
        else:
            found += [dial for dial in await access.fetch_all(item) if isinstance(dial, Dial)]
    carried = {channel for dial in found for channel in dial.channels}
    forgotten = [str(channel) for channel in asked if channel not in carried]
    if forgotten:
        raise PluginError(
            access.stack.exchange,
            f"its connect hook gave no socket to {listed(forgotten)}",
            "Report this to its author",
            distribution=access.stack.distribution,
            version=access.stack.version,
        )
    return found


def _streamed(wanted: Wanted, polls: dict[Channel, Poll]) -> list[Channel]:
    channels = [channel for channel in wanted.channels if channel not in polls]
    return [*channels, *wanted.listings]


def _connect(access: VenueAccess, channels: Sequence[Channel], dials: Sequence[Dial]) -> Any:
    return ask(
        access.stack,
        "connect",
        passing=(ValueError,),
        secret=access.credentials is not None,
        channels=tuple(channels),
        settings=access.settings,
        credentials=access.credentials,
        dials=tuple(dials),
    )


def _refusal(access: VenueAccess, channel: Channel) -> str | None:
    """Why the plugin will not have this channel, even alone."""
    try:
        _connect(access, (channel,), ())
    except PluginError:
        raise
    except ValueError as error:
        return str(error)
    return None


def _poll(access: VenueAccess, channel: Channel) -> Poll | None:
    if not access.stack.offers("poll"):
        return None
    poll: Poll | None = ask(access.stack, "poll", passing=(ValueError,), channel=channel, settings=access.settings)
    return poll


def difference(before: Plan, after: Plan) -> dict[str, str]:
    """Which symbols one plan collects and the other does not: ``added`` and ``removed``, where there are any."""
    had, have = (dict.fromkeys(channel.symbol for channel in plan.channels) for plan in (before, after))
    told = {
        "added": listed([symbol for symbol in have if symbol not in had]),
        "removed": listed([symbol for symbol in had if symbol not in have]),
    }
    return {what: symbols for what, symbols in told.items() if symbols}
