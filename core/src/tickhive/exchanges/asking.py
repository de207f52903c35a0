"""Asks a plugin which data types its venue does not have, before anything is connected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tickhive.channels import EVERY, Channel, DataType, Subscription
from tickhive.plugin.contract import Credentials
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.faults import FAULTS

_PLACEHOLDER = "not-known-yet"
_PROBE = "BTC-USDT"
_PARAMS = {DataType.CANDLE: ("1m", "5m", "1h", "1d")}


def ways_to_ask(data_type: DataType) -> list[Subscription]:
    """How to find out whether a plugin has a data type, one after the other: some mean nothing without a parameter."""
    return [Subscription(data_type, params) for params in _PARAMS.get(data_type, ("",))]


def offered_data_types(stack: ExchangeStack, among: Iterable[DataType] = DataType) -> list[DataType] | None:
    """Which of these data types the plugin has, by what its ``connect`` and ``poll`` refuse; None where it cannot be
    asked without settings of the user's. PluginError when a hook fails.
    """
    try:
        settings = stack.settings_type()
    except Exception:
        return None

    def has(subscription: Subscription) -> bool:
        account = "probe" if subscription.data_type.private else None
        return not refused_subscriptions(stack, [_PROBE], [subscription], settings, account)

    return [each for each in among if any(map(has, ways_to_ask(each)))]


def refused_subscriptions(
    stack: ExchangeStack,
    symbols: Sequence[str],
    subscriptions: Sequence[Subscription],
    settings: Any,
    account: str | None = None,
) -> dict[Subscription, str]:
    """Which of the subscriptions the plugin's ``connect`` refuses for these symbols, each with the plugin's words.

    The symbols stand for native names too: what the venue calls them is not known yet. So do secrets for those of the
    ``account``. PluginError when a hook fails.
    """
    credentials = None if account is None else Credentials(account, *([_PLACEHOLDER] * 3))
    if _refusal(stack, symbols, subscriptions, settings, credentials) is None:
        return {}
    # One refusal hides those behind it, so each is asked about alone.
    refusals = {wanted: _refusal(stack, symbols, (wanted,), settings, credentials) for wanted in subscriptions}
    found = {wanted: refusal for wanted, refusal in refusals.items() if refusal is not None}
    if found:
        return found
    together = _refusal(stack, symbols, subscriptions, settings, credentials)
    return dict.fromkeys(subscriptions, together) if together is not None else {}


def _refusal(
    stack: ExchangeStack,
    symbols: Sequence[str],
    subscriptions: Sequence[Subscription],
    settings: Any,
    credentials: Credentials | None,
) -> str | None:
    channels = [
        Channel(symbol, symbol, each.data_type, each.params)
        for each in subscriptions
        for symbol in ((EVERY,) if each.data_type.private else symbols)
    ]
    hook = "poll"
    try:
        streamed = [channel for channel in channels if stack.call.poll(channel=channel, settings=settings) is None]
        hook = "connect"
        if streamed:
            stack.call.connect(channels=streamed, settings=settings, credentials=credentials, dials=())
    except ValueError as error:
        return str(error) or "the plugin refuses it without a reason"
    except FAULTS as error:
        raise stack.refuse(
            f"its {hook} hook failed: {type(error).__name__}: {error}", "Report this to its authors"
        ) from error
    return None
