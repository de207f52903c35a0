"""What the exchanges' packages find wrong with the tables of a configuration, be the rest of it as bad as it may."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import attrs

from tickhive.channels import Subscription
from tickhive.credentials import Account, load_credentials
from tickhive.errors import ConfigurationError, TickhiveError
from tickhive.exchanges.asking import refused_subscriptions
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.exchanges.factory import ExchangeFactory
from tickhive.plugin.contract import Credentials
from tickhive.redaction import _sanitize_error
from tickhive.structuring import join_path, salvage


def judge_collector(table: Any, path: str, exchanges: Mapping[str, Any]) -> list[str]:
    """The problems of one ``[[collectors]]`` table, each by its field: data types, exchange, settings, channels.

    Whatever is sound in the table is judged; what is not is for ``ServiceConfig`` to name. ``exchanges`` are the
    ``[exchanges.NAME]`` tables. Nothing is connected.
    """
    if not isinstance(table, Mapping):
        return []
    problems: list[str] = []
    data_types = _data_types(table, path, problems)
    exchange = table.get("exchange")
    if not isinstance(exchange, str) or not exchange.strip():
        return problems
    shared, own = (
        each if isinstance(each, Mapping) else {} for each in (exchanges.get(exchange), table.get("settings"))
    )
    settings = {**shared, **own}
    try:
        if not ExchangeFactory.is_own_class(exchange):
            account = table.get("account")
            if not isinstance(account, str) or not account.strip():
                # That data of an account needs one is said of the field itself.
                account, data_types = None, {each: at for each, at in data_types.items() if not each.data_type.private}
            problems += _ask_package(exchange, path, settings, set(own), _symbols(table), data_types, account)
        config, faults = salvage(ExchangeCollectorConfig, table)
        if config is not None and not faults and not problems:
            # Whether the account's secrets can be had is judged by its own table.
            name = config.account
            credentials = None if name is None else (lambda: Credentials(name))
            ExchangeFactory.create_collector(attrs.evolve(config, settings=settings), credentials=credentials)
    except (ValueError, TickhiveError) as error:
        problems.append(f"{path}.exchange: {_sanitize_error(str(error))}")
    except Exception as error:
        # An application's own class may raise anything.
        problems.append(f"{path}: its collector cannot be made: {_sanitize_error(error)}")
    return problems


def judge_account(name: str, table: Any) -> list[str]:
    """Which secrets of one ``[accounts.NAME]`` table cannot be had, where its form is sound."""
    account, faults = salvage(Account, table)
    if account is None or faults:
        return []
    try:
        load_credentials(name, account)
    except ConfigurationError as error:
        return list(error.problems)
    return []


def _ask_package(
    exchange: str,
    path: str,
    table: Mapping[str, Any],
    own: set[str],
    symbols: list[str],
    data_types: Mapping[Subscription, int],
    account: str | None,
) -> list[str]:
    stack = ExchangeFactory.load(exchange)
    settings, faults = salvage(stack.settings_type, table)
    problems = [
        join_path(
            f"{path}.settings" if re.split(r"[:\[.]", fault, maxsplit=1)[0] in own else f"exchanges.{exchange}", fault
        )
        for fault in faults
    ]
    if settings is not None:
        refused = refused_subscriptions(stack, symbols, tuple(data_types), settings, account)
        problems += [
            f"{path}.data_types[{data_types[wanted]}]: {_sanitize_error(reason)}" for wanted, reason in refused.items()
        ]
    return problems


def _data_types(table: Mapping[str, Any], path: str, problems: list[str]) -> dict[Subscription, int]:
    """The data types that can be read, each with its place in the list."""
    found: dict[Subscription, int] = {}
    given = table.get("data_types")
    for index, text in enumerate(given if isinstance(given, list) else ()):
        if isinstance(text, str):
            try:
                found.setdefault(Subscription.parse(text), index)
            except ConfigurationError as error:
                problems += [f"{path}.data_types[{index}]: {problem}" for problem in error.problems]
    return found


def _symbols(table: Mapping[str, Any]) -> list[str]:
    given = table.get("symbols")
    candidates = [table.get("symbol"), *(given if isinstance(given, list) else ())]
    return [each for each in candidates if isinstance(each, str) and each and not any(map(str.isspace, each))]
