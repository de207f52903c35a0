"""ExchangeFactory makes the collector a configuration asks for, whoever brings the exchange."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from tickhive.credentials import CredentialSource, obtain
from tickhive.errors import ConfigurationError, PluginError, TickhiveError, UnknownExchangeError
from tickhive.exchanges.asking import refused_subscriptions
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.plugin.contract import Credentials
from tickhive.plugin.registry import PluginRegistry, check_exchange_name, default_registry, unknown_exchange
from tickhive.plugin.stack import ExchangeStack
from tickhive.session.faults import HookEnded

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector

T = TypeVar("T")

CREATION_SECONDS = 10.0
"""So long a plugin may take at least to be imported and say what it offers."""


class ExchangeFactory:
    """Makes collectors for installed exchange packages and for what the application registered.

    ::

        config = ExchangeCollectorConfig(exchange="acme", symbol="BTC-USDT", data_types=[DataType.TRADE])
        collector = ExchangeFactory.create_collector(config)
    """

    registry: ClassVar[PluginRegistry | None] = None
    """Where plugins come from; None is the process's ``default_registry()``. Set it to use another one."""

    _classes: ClassVar[dict[str, Callable[..., BaseDataCollector]]] = {}
    _middleware: ClassVar[list[tuple[str | None, object]]] = []

    @classmethod
    def create_collector(
        cls,
        config: ExchangeCollectorConfig,
        *,
        credentials: CredentialSource | None = None,
        middleware: Iterable[object] = (),
    ) -> BaseDataCollector:
        """Make a collector. Nothing is connected before its ``start``.

        ``middleware`` are wrappers around the plugin's hooks for this collector alone, the last one the outermost; they
        stand around those that were given to ``stack``.

        ``credentials`` are those of ``config.account``: the secrets, or a function that fetches them and is asked at
        every start, so that a restart finds mended ones.

        Every refusal is a ValueError that says what to do: UnknownExchangeError (install or register something),
        PluginError (the exchange's package or the middleware is at fault) or ConfigurationError (a setting of the
        exchange, by its path; or a data type it does not have).

        Whether a venue that lists its instruments trades a symbol is found out at ``start``.
        """
        return cls._plan(config, credentials, tuple(middleware))()

    @classmethod
    def create_multiple_collectors(
        cls,
        configs: Iterable[ExchangeCollectorConfig],
        *,
        credentials: Mapping[str, CredentialSource] | None = None,
        skip_invalid: bool = False,
        middleware: Iterable[object] = (),
    ) -> list[BaseDataCollector]:
        """Make a collector for each configuration, in order; ``credentials`` by the name of the account, and the same
        ``middleware`` for all.

        All are checked first. When any is refused, one ConfigurationError lists every refusal by its position and no
        collector is made. With ``skip_invalid`` the refused ones are logged as errors and left out.
        """
        refused: list[str] = []
        layers = tuple(middleware)
        plans: list[Callable[[], BaseDataCollector]] = []
        for index, config in enumerate(configs):
            try:
                plans.append(cls._plan(config, (credentials or {}).get(getattr(config, "account", None) or ""), layers))
            except (ValueError, TickhiveError) as error:
                refused += _refusals(f"configs[{index}]", config, error)
        if refused and not skip_invalid:
            raise ConfigurationError(refused)
        for refusal in refused:
            _log_refusal(refusal)
        return [plan() for plan in plans]

    @classmethod
    def get_supported_exchanges(cls) -> list[str]:
        """The names ``create_collector`` accepts, sorted; without packages that are blocked or known to be broken."""
        return sorted({*cls._plugins().available(), *cls._classes})

    @classmethod
    def register(cls, exchange: str, collector_or_plugin: Any) -> None:
        """Use the application's own code for an exchange; it goes before an installed package of that name.

        A subclass of BaseDataCollector is made as ``collector_or_plugin(config)``. Anything else must be a plugin: a
        module or an instance with hooks. Raises PluginError when it is neither, ValueError when the name is taken by an
        earlier registration.
        """
        check_exchange_name(exchange)
        if exchange in cls._classes:
            raise ConfigurationError(f"{exchange}: already registered; unregister it first")
        if isinstance(collector_or_plugin, type):
            from tickhive.collector.base import BaseDataCollector

            if issubclass(collector_or_plugin, BaseDataCollector):
                cls._classes[exchange] = collector_or_plugin
                return
        cls._plugins().register(exchange, collector_or_plugin)

    @classmethod
    def unregister(cls, exchange: str) -> None:
        """Forget what was registered for an exchange. An installed package of that name is used again."""
        cls._classes.pop(exchange, None)
        cls._plugins().unregister(exchange)

    @classmethod
    def stack(cls, exchange: str | None, wrapper: object) -> None:
        """Wrap the hooks of an exchange, or with None those of every exchange, in all collectors made from now on.

        ``wrapper`` is a module or an instance whose functions are marked ``@hookimpl(wrapper=True)``. What was stacked
        last is the outermost. A wrapper that cannot be stacked is refused with a PluginError when a collector is made.
        """
        cls._middleware.append((exchange, wrapper))

    @classmethod
    def unstack(cls, exchange: str | None, wrapper: object) -> None:
        """Take back what ``stack`` was told; collectors that exist go on as they were made."""
        cls._middleware = [each for each in cls._middleware if each[0] != exchange or each[1] is not wrapper]

    @classmethod
    def load(cls, exchange: str, middleware: Iterable[object] = ()) -> ExchangeStack:
        """The plugin of an exchange with all that is stacked on it; UnknownExchangeError or PluginError when there is
        none that can be used.
        """
        stacked = [wrapper for wanted, wrapper in cls._middleware if wanted in (None, exchange)]
        try:
            return cls._plugins().load(exchange, [*stacked, *middleware])
        except UnknownExchangeError as error:
            raise unknown_exchange(exchange, [*error.installed, *cls._classes]) from None

    @classmethod
    def is_own_class(cls, exchange: str) -> bool:
        """Whether a collector class of the application answers to this name; it has no plugin to ask."""
        return exchange in cls._classes

    @classmethod
    def _plugins(cls) -> PluginRegistry:
        return cls.registry if cls.registry is not None else default_registry()

    @classmethod
    def _plan(
        cls,
        config: ExchangeCollectorConfig,
        credentials: CredentialSource | None = None,
        middleware: Sequence[object] = (),
    ) -> Callable[[], BaseDataCollector]:
        """Check everything that can be checked, and answer how to make the collector."""
        if not isinstance(config, ExchangeCollectorConfig):
            raise ConfigurationError(f"expected an ExchangeCollectorConfig, got {type(config).__name__}")
        check_credentials(config, credentials)
        # Collector classes that know of no account need not know of the argument either.
        secrets = {} if credentials is None else {"credentials": credentials}
        own = cls._classes.get(config.exchange)
        if own is not None:
            if middleware:
                raise ConfigurationError(
                    f"{config.exchange}: a collector class of the application has no hooks to wrap"
                )
            return lambda: own(config, **secrets)
        return cls._in_time(config, lambda: cls._plan_of_plugin(config, secrets, middleware))

    @classmethod
    def _in_time(cls, config: ExchangeCollectorConfig, plan: Callable[[], T]) -> T:
        """What ``plan`` answers; PluginError where the plugin's import or one of its hooks does not return."""
        from tickhive.collector.overrun import Held
        from tickhive.collector.watchdog import WATCHDOG

        who, seconds = f"the exchange plugin {config.exchange!r}", max(CREATION_SECONDS, config.hook_deadline_seconds)
        answer, over = WATCHDOG.bounded(Held(who, seconds, HookEnded, __name__), plan)
        if over is None:
            return cast("T", answer)
        found = cls._plugins().found().get(config.exchange)
        raise PluginError(
            config.exchange,
            f"it had not said what it offers after {over.seconds:.1f} s and was ended at {over.where}",
            "Report this to its authors and upgrade it; allow more with hook_deadline_seconds",
            distribution=found.distribution if found else None,
            version=found.version if found else None,
        )

    @classmethod
    def _plan_of_plugin(
        cls, config: ExchangeCollectorConfig, secrets: Mapping[str, Any], middleware: Sequence[object]
    ) -> Callable[[], BaseDataCollector]:
        stack = cls.load(config.exchange, middleware)
        settings = structure_settings(stack, config)
        refused = refused_subscriptions(stack, config.symbols, config.subscriptions, settings, config.account)
        if refused:
            raise ConfigurationError(f"{config.exchange}: {reason}" for reason in dict.fromkeys(refused.values()))
        make = _collector_type(stack)
        return lambda: make(stack, config, settings, **secrets)


def check_credentials(config: ExchangeCollectorConfig, credentials: CredentialSource | None) -> None:
    """Refuse an account without credentials, credentials without an account, and those of another one."""
    if config.account is None:
        if credentials is not None:
            raise ConfigurationError("account: credentials are given, but no account is named to use them for")
        return
    if credentials is None:
        raise ConfigurationError(
            f"account: nothing says where the credentials of {config.account!r} are; give the argument credentials"
        )
    if isinstance(credentials, Credentials) and credentials.account != config.account:
        raise ConfigurationError(
            f"account: {config.account!r} is named, but the credentials are those of {credentials.account!r}"
        )
    if isinstance(credentials, Credentials):
        obtain(credentials)


def structure_settings(stack: ExchangeStack, config: ExchangeCollectorConfig) -> Any:
    """The settings of an exchange as its plugin's own class; ConfigurationError names fields as ``exchanges.acme.url``.

    ``config.settings`` is the whole table; who has service-wide settings too puts them below it first.
    """
    from tickhive.structuring import structure

    return structure(stack.settings_type, config.settings, f"exchanges.{config.exchange}")


def _collector_type(stack: ExchangeStack) -> Callable[..., BaseDataCollector]:
    """The plugin's own collector class, or the one that drives any plugin. Both are made of stack, config, settings."""
    from tickhive.collector.base import BaseDataCollector
    from tickhive.collector.plugin_collector import PluginCollector

    try:
        answer = stack.call.collector()
    except (Exception, SystemExit) as error:
        raise stack.refuse(
            f"its collector hook failed: {type(error).__name__}: {error}", "Report this to its authors"
        ) from error
    if answer is None:
        return PluginCollector
    if isinstance(answer, type) and issubclass(answer, BaseDataCollector):
        return answer
    raise stack.refuse(
        f"its collector hook answered {answer!r}, no subclass of BaseDataCollector",
        "Answer a subclass of PluginCollector or BaseDataCollector",
    )


def _refusals(path: str, config: Any, error: Exception) -> list[str]:
    who = f" ({config.name or config.default_name})" if isinstance(config, ExchangeCollectorConfig) else ""
    problems = error.problems if isinstance(error, ConfigurationError) else (str(error),)
    return [f"{path}{who}: {problem}" for problem in problems]


def _log_refusal(refusal: str) -> None:
    from tickhive.logs import get_logger

    get_logger("tickhive.exchanges").error("collector refused", reason=refusal)
