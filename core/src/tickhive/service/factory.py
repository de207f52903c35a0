"""CollectorFactory: the collectors a service's configuration asks for, each with its exchange's settings."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs
from attrs import frozen

from tickhive.credentials import CredentialSource, load_credentials
from tickhive.errors import TickhiveError
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.exchanges.factory import ExchangeFactory
from tickhive.plugin.registry import default_registry
from tickhive.redaction import _sanitize_error
from tickhive.service.config import ServiceConfig
from tickhive.service.extensions import Extensions

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector


@frozen
class Refusal:
    """A configured collector that could not be made: which one, and why, redacted."""

    name: str
    exchange: str
    reason: str


class CollectorFactory:
    """Makes collectors out of a ServiceConfig. The exchanges it blocks stay blocked in the whole process.

    ConfigurationError when the middleware or filters it names cannot be imported.
    """

    def __init__(self, config: ServiceConfig) -> None:
        self._config = config
        self._extensions = Extensions(config.middleware, config.filters)
        if config.plugins.block:
            registry = ExchangeFactory.registry if ExchangeFactory.registry is not None else default_registry()
            registry.block(*config.plugins.block)

    def create_all(self) -> tuple[list[BaseDataCollector], list[Refusal]]:
        """Make every collector; those that cannot be made are answered beside, so that the others can run."""
        made: list[BaseDataCollector] = []
        refused: list[Refusal] = []
        for config in self._config.collectors:
            try:
                made.append(self._create_collector(config))
            except (ValueError, TickhiveError) as error:
                refused.append(
                    Refusal(config.name or config.default_name, config.exchange, _sanitize_error(str(error)))
                )
            except Exception as error:
                # A registered class or a plugin's collector may raise anything; it harms only itself.
                refused.append(Refusal(config.name or config.default_name, config.exchange, _sanitize_error(error)))
        return made, refused

    def _create_collector(self, config: ExchangeCollectorConfig) -> BaseDataCollector:
        """Make one collector. Its own settings go before those of ``[exchanges.NAME]``; refusals are ValueErrors."""
        settings = {**self._config.exchanges.get(config.exchange, {}), **config.settings}
        credentials = self._credentials(config.account) if config.account is not None else None
        collector = ExchangeFactory.create_collector(
            attrs.evolve(config, settings=settings),
            credentials=credentials,
            middleware=self._extensions.middleware(
                config.exchange, by_name=ExchangeFactory.is_own_class(config.exchange)
            ),
        )
        self._extensions.add_filters(collector)
        return collector

    def _credentials(self, name: str) -> CredentialSource | None:
        """What looks the account's secrets up, at every start of a collector."""
        account = self._config.accounts.get(name)
        source = str(self._config.source) if self._config.source else None
        return None if account is None else partial(load_credentials, name, account, source=source)
