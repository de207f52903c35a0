"""ServiceConfig: everything `tickhive run` is told, read from a TOML file and checked as a whole."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from attrs import Attribute, Factory, define, field, validators

from tickhive.channels import DataType
from tickhive.credentials import Account, structure_account
from tickhive.errors import ConfigurationError, PermissionsError
from tickhive.exchanges.config import ExchangeCollectorConfig
from tickhive.exchanges.factory import ExchangeFactory
from tickhive.manager.restart_budget import RestartPolicy
from tickhive.redaction import add_secret
from tickhive.service.config_file import check_permissions, read_toml, secrets_of
from tickhive.service.default_config import default_config
from tickhive.structuring import kind_of, structure, unknown_key

T = TypeVar("T")


def _not_empty(_: Any, attribute: Attribute[str], value: str) -> None:
    if not value.strip():
        raise ValueError(f"'{attribute.name}' must not be empty")


@define(kw_only=True)
class ServiceSection:
    """``[service]``: where data lives, how it logs, how it stops.

    ``data_dir`` and other relative paths count from the directory the service is started in. ``drain_seconds`` is how
    long a stop may take to bring stored events to the sinks; what is left then waits on disk for the next start.
    ``event_loop`` is what the command line runs on: uvloop helps where frames come one at a time. An event loop that
    has not turned for ``stalled_seconds`` is said to stand still, and who holds it; one that has not for
    ``exit_when_stalled_seconds`` (0: never; else longer than any collector's ``hook_deadline_seconds``) ends the
    process. ``record`` is a folder for the raw frames, each run a file; with ``record_private`` those of accounts too.
    """

    name: str = field(default="tickhive", validator=_not_empty)
    data_dir: Path = Path("data")
    log_level: Literal["debug", "info", "warning", "error", "critical"] = "info"
    log_format: Literal["console", "json"] = "console"
    drain_seconds: float = field(default=30.0, validator=validators.ge(0))
    event_loop: Literal["asyncio", "uvloop"] = "asyncio"
    stalled_seconds: float = field(default=2.0, validator=validators.gt(0))
    exit_when_stalled_seconds: float = field(default=0.0, validator=validators.ge(0))
    record: Path | None = None
    record_private: bool = False


@define(kw_only=True)
class SpoolSection:
    """``[spool]``: limits of the events on their way to the sinks.

    A batch is committed every ``commit_seconds`` or ``commit_events``. ``buffer_events`` may wait in memory when the
    disk takes nothing, ``max_bytes`` is the largest the file on disk may grow.
    """

    max_bytes: int = field(default=10 * 1024**3, validator=validators.ge(1024**2))
    commit_seconds: float = field(default=0.2, validator=validators.gt(0))
    commit_events: int = field(default=2000, validator=validators.gt(0))
    buffer_events: int = field(default=200_000, validator=validators.gt(0))


@define(kw_only=True)
class PluginsSection:
    """``[plugins]``: ``block`` names exchanges or distributions that must not be used though they are installed."""

    block: tuple[str, ...] = ()


@define(kw_only=True)
class SinkConfig:
    """One ``[[sinks]]`` table: the store's ``type``, its ``name`` and the settings its package defines.

    The name is the sink's identity over restarts: what it has not received yet waits under it.
    """

    type: str
    name: str
    settings: Mapping[str, Any] = field(factory=dict, repr=False)


@define(kw_only=True)
class MiddlewareConfig:
    """One ``[[middleware]]`` table: ``use`` names wrappers of hooks, for ``exchanges`` (none named: for all)."""

    use: str
    exchanges: tuple[str, ...] = ()


@define(kw_only=True)
class FilterConfig:
    """One ``[[filters]]`` table: ``use`` names a function asked about checked events, of these ``data_types`` and
    ``exchanges`` (none named: of all).
    """

    use: str
    data_types: tuple[DataType, ...] = ()
    exchanges: tuple[str, ...] = ()


@define(kw_only=True)
class ServiceConfig:
    """What to collect and where to put it.

    ``exchanges`` holds each ``[exchanges.NAME]`` table as it was written; the exchange's own package checks it.
    ``accounts`` say where secrets are; they are looked up when a collector starts.
    ``source`` is the file it came from.
    """

    service: ServiceSection = Factory(ServiceSection)
    exchanges: Mapping[str, Mapping[str, Any]] = field(factory=dict, repr=False)
    accounts: Mapping[str, Account] = field(factory=dict)
    collectors: Sequence[ExchangeCollectorConfig] = ()
    sinks: Sequence[SinkConfig] = ()
    middleware: Sequence[MiddlewareConfig] = ()
    filters: Sequence[FilterConfig] = ()
    plugins: PluginsSection = Factory(PluginsSection)
    spool: SpoolSection = Factory(SpoolSection)
    restarts: RestartPolicy = Factory(RestartPolicy)
    source: Path | None = None

    @classmethod
    def load(cls, path: str | Path) -> ServiceConfig:
        """Read a configuration file.

        PermissionsError when others may change it, or read the credentials in it; ConfigurationError with every fault
        in ``problems``, each by the path of its field, when its content is refused. Credentials found in it are never
        shown again by anything that tickhive logs.
        """
        return cls._load_config(path)

    @classmethod
    def _load_config(cls, config_path: str | Path) -> ServiceConfig:
        """Read, then judge the file's permissions, then its content."""
        path = Path(config_path)
        tables, refusal = read_tables(path)
        if refusal is not None:
            raise refusal
        return cls.from_tables(tables, path)

    @classmethod
    def from_tables(cls, tables: Mapping[str, Any], source: Path | None = None) -> ServiceConfig:
        """Check the tables of a configuration; ConfigurationError lists every fault."""
        problems: list[str] = []
        problems += [f"{key}: {unknown_key(key, _SECTIONS)}" for key in tables if key not in _SECTIONS]

        def section(name: str, kind: type[T]) -> T | None:
            return _attempt(problems, lambda: structure(kind, tables.get(name, {}), name))

        service = section("service", ServiceSection)
        plugins = section("plugins", PluginsSection)
        spool = section("spool", SpoolSection)
        restarts = section("restarts", RestartPolicy)
        collectors = [
            _attempt(problems, lambda: structure(ExchangeCollectorConfig, table, f"collectors[{index}]"))  # noqa: B023
            for index, table in enumerate(_tables(tables, "collectors", problems))
        ]
        middleware = _structured("middleware", MiddlewareConfig, tables, problems)
        filters = _structured("filters", FilterConfig, tables, problems)
        sinks = [_sink(index, table, problems) for index, table in enumerate(_tables(tables, "sinks", problems))]
        exchanges = _exchanges(tables, problems)
        accounts = _accounts(tables, problems)
        if not tables.get("collectors"):
            problems.append("collectors: nothing to collect; add a [[collectors]] table")
        _check_names(
            "collectors", [(each.name or each.default_name) if each else None for each in collectors], problems
        )
        _check_names("sinks", [each.name if each else None for each in sinks], problems)
        used = {each.exchange for each in collectors if each}
        _check_exchanges(exchanges, used, problems)
        _check_named_exchanges("middleware", middleware, used, problems)
        _check_named_exchanges("filters", filters, used, problems)
        _check_accounts(_named(tables, "accounts"), accounts, collectors, problems)
        if service is not None:
            _check_exit(service, collectors, problems)
        if problems:
            raise ConfigurationError(problems, str(source) if source else None)
        assert service is not None
        assert plugins is not None
        assert spool is not None
        assert restarts is not None
        return cls(
            service=service,
            exchanges=exchanges,
            accounts=accounts,
            collectors=tuple(each for each in collectors if each),
            sinks=tuple(each for each in sinks if each),
            middleware=middleware,
            filters=filters,
            plugins=plugins,
            spool=spool,
            restarts=restarts,
            source=source,
        )

    @staticmethod
    def _create_default_config(
        exchange: str, symbols: Sequence[str], data_types: Sequence[str] = ("trade", "ticker"), sink: str | None = None
    ) -> str:
        """The text of a commented configuration that is complete and valid; write it with mode 0600."""
        return default_config(exchange, symbols, data_types, sink)

    @staticmethod
    def validate_permissions(file_path: str | Path) -> None:
        """Raise PermissionsError, with the command that helps, when the file's rights are too wide for its content.

        Others may never change it, nor read it when it holds credentials. On Windows only a file with credentials in
        the folder all users share is refused: keep it in your own profile.
        """
        path = Path(file_path)
        check_permissions(path, holds_credentials=False)
        check_permissions(path, holds_credentials=bool(secrets_of(read_toml(path))))


def read_tables(path: Path) -> tuple[dict[str, Any], PermissionsError | None]:
    """The plain tables of a configuration file, and what is wrong with its permissions.

    Credentials in it are never shown again by anything that tickhive logs. ConfigurationError when there are no tables
    to be had: no such file, no right to read it, no TOML.
    """
    tables = read_toml(path)
    secrets = secrets_of(tables)
    for secret in secrets:
        # Shorter ones cannot be told from ordinary text.
        if len(secret) >= 4:
            add_secret(secret)
    try:
        check_permissions(path, holds_credentials=bool(secrets))
    except PermissionsError as error:
        return tables, error
    return tables, None


_SECTIONS = (
    "service", "exchanges", "accounts", "collectors", "sinks", "middleware", "filters", "plugins", "spool", "restarts",
)  # fmt: skip


def _attempt(problems: list[str], make: Callable[[], T]) -> T | None:
    """What ``make`` answers; None with its problems noted when it refuses."""
    try:
        return make()
    except ConfigurationError as error:
        problems += error.problems
        return None


def _tables(tables: Mapping[str, Any], name: str, problems: list[str]) -> list[Any]:
    found = tables.get(name, [])
    if isinstance(found, list):
        return found
    problems.append(f"{name}: expected a list, got {kind_of(found)}; write [[{name}]], with two brackets")
    return []


def _structured(name: str, kind: type[T], tables: Mapping[str, Any], problems: list[str]) -> tuple[T, ...]:
    """The tables of a list as instances of ``kind``; those that cannot be one are noted and left out."""
    made = (
        _attempt(problems, lambda: structure(kind, table, f"{name}[{index}]"))  # noqa: B023
        for index, table in enumerate(_tables(tables, name, problems))
    )
    return tuple(each for each in made if each is not None)


def _sink(index: int, table: Any, problems: list[str]) -> SinkConfig | None:
    path = f"sinks[{index}]"
    if not isinstance(table, Mapping):
        problems.append(f"{path}: expected a table, got {kind_of(table)}")
        return None
    kind, name = table.get("type"), table.get("name", table.get("type"))
    if kind is None:
        problems.append(f"{path}.type: required, but missing")
    elif not isinstance(kind, str) or not kind:
        problems.append(f"{path}.type: expected the type of an installed sink, got {kind_of(kind)}")
    elif not isinstance(name, str) or not name:
        problems.append(f"{path}.name: expected text, got {kind_of(name)}")
    else:
        settings = {key: value for key, value in table.items() if key not in ("type", "name")}
        return SinkConfig(type=kind, name=name, settings=settings)
    return None


def _exchanges(tables: Mapping[str, Any], problems: list[str]) -> dict[str, Mapping[str, Any]]:
    found = tables.get("exchanges", {})
    if not isinstance(found, Mapping):
        problems.append(f"exchanges: expected tables such as [exchanges.NAME], got {kind_of(found)}")
        return {}
    for name, settings in found.items():
        if not isinstance(settings, Mapping):
            problems.append(f"exchanges.{name}: expected a table, got {kind_of(settings)}")
    return {name: dict(settings) for name, settings in found.items() if isinstance(settings, Mapping)}


def _named(tables: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = tables.get(section, {})
    return found if isinstance(found, Mapping) else {}


def _accounts(tables: Mapping[str, Any], problems: list[str]) -> dict[str, Account]:
    found = tables.get("accounts", {})
    if not isinstance(found, Mapping):
        problems.append(f"accounts: expected tables such as [accounts.NAME], got {kind_of(found)}")
    accounts: dict[str, Account] = {}
    for name, table in _named(tables, "accounts").items():
        account = _attempt(problems, lambda: structure_account(table, f"accounts.{name}"))  # noqa: B023
        if account is not None:
            accounts[name] = account
    return accounts


def _check_accounts(
    given: Mapping[str, Any],
    accounts: Mapping[str, Account],
    collectors: Sequence[ExchangeCollectorConfig | None],
    problems: list[str],
) -> None:
    for index, each in enumerate(collectors):
        if each is None or each.account is None:
            continue
        account = accounts.get(each.account)
        if account is not None and account.exchange != each.exchange:
            problems.append(
                f"collectors[{index}].account: {each.account!r} is an account at {account.exchange!r}, "
                f"this collector is for {each.exchange!r}"
            )
        elif each.account not in given:
            close = difflib.get_close_matches(each.account, given, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"add an [accounts.{each.account}] table"
            problems.append(f"collectors[{index}].account: there is no account {each.account!r}; {hint}")


def _check_exit(
    service: ServiceSection, collectors: Sequence[ExchangeCollectorConfig | None], problems: list[str]
) -> None:
    """The process may end only where ending the hook that holds the event loop has not helped."""
    seconds = service.exit_when_stalled_seconds
    deadlines = {index: each.hook_deadline_seconds for index, each in enumerate(collectors) if each is not None}
    last = max(deadlines, key=deadlines.__getitem__, default=None)
    if last is not None and 0 < seconds <= deadlines[last]:
        problems.append(
            f"service.exit_when_stalled_seconds: after {seconds} s the process would end before a hook that does not "
            f"return is ended (collectors[{last}]: hook_deadline_seconds is {deadlines[last]}); choose it longer, or 0 "
            "for never"
        )


def _check_names(section: str, names: Sequence[str | None], problems: list[str]) -> None:
    first: dict[str, int] = {}
    for index, name in enumerate(names):
        if name and first.setdefault(name, index) != index:
            problems.append(
                f"{section}[{index}].name: {name!r} is taken by {section}[{first[name]}]; give one of them another name"
            )


def _check_named_exchanges(
    table: str, named: Sequence[MiddlewareConfig | FilterConfig], used: set[str], problems: list[str]
) -> None:
    """What is meant for certain exchanges must be meant for some that are collected, or could be."""
    for index, each in enumerate(named):
        for name in each.exchanges:
            if name not in used and name not in ExchangeFactory.get_supported_exchanges():
                close = difflib.get_close_matches(name, used, n=1)
                hint = f"did you mean {close[0]!r}?" if close else "and none of this name is installed"
                problems.append(f"{table}[{index}].exchanges: no collector uses {name!r}; {hint}")


def _check_exchanges(settings: Mapping[str, Any], used: set[str], problems: list[str]) -> None:
    # Settings of an exchange that is not collected now are harmless, unless they were meant for one that is.
    for name in settings:
        close = difflib.get_close_matches(name, used, n=1)
        if name not in used and close and name not in ExchangeFactory.get_supported_exchanges():
            problems.append(f"exchanges.{name}: no collector uses this exchange; did you mean {close[0]!r}?")
