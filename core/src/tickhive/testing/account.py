"""A made-up account: whoever finds its texts anywhere has found a leak."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tickhive.channels import EVERY, Channel, DataType
from tickhive.plugin.contract import Credentials
from tickhive.plugin.stack import ExchangeStack

_MADE_UP = {
    "key": "k3y-MADE-UP-0f8a",
    "secret": "c2VjcmV0LU1BREUtVVAtMWI5Yw==",
    "passphrase": "pa55-MADE-UP-77e2",
}


def made_up(parts: Mapping[str, str]) -> Credentials:
    """Credentials that open nothing. ``parts`` are those that must have a form of their own, a private key say."""
    return Credentials("conformance", **{**_MADE_UP, **parts})


def placeholder() -> Credentials:
    """What the core shows a plugin in place of secrets while it judges a configuration."""
    return Credentials("conformance", *(["not-known-yet"] * 3))


def private_channels(stack: ExchangeStack, settings: Any, credentials: Credentials) -> list[Channel]:
    """The channels of an account that the plugin has."""
    found = []
    for data_type in (each for each in DataType if each.private):
        channel = Channel(EVERY, EVERY, data_type)
        try:
            stack.call.connect(channels=(channel,), settings=settings, credentials=credentials, dials=())
        except Exception:
            continue
        found.append(channel)
    return found
