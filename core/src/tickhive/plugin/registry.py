"""Which exchanges are there? Finds installed plugins without importing them, and loads one at a time."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, EntryPoint, distributions
from typing import Literal

from attrs import evolve, frozen

from tickhive.errors import PluginError, UnknownExchangeError
from tickhive.plugin.stack import ExchangeStack

GROUP = "tickhive.exchanges"
"""The group of entry points an exchange package announces itself in."""

BLOCK_VARIABLE = "TICKHIVE_BLOCK_PLUGINS"
"""The environment variable that lists, separated by commas, exchanges and distributions not to be used."""

_EXCHANGE_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")

PluginStatus = Literal["available", "blocked", "conflict", "broken"]


@frozen(kw_only=True)
class FoundPlugin:
    """An exchange somebody offers. ``module`` is what would be imported, ``reason`` why it cannot be used.

    In a conflict ``distribution``, ``version`` and ``module`` list all claimants. A plugin registered by the
    application itself has no distribution.
    """

    exchange: str
    distribution: str | None
    version: str | None
    module: str
    status: PluginStatus = "available"
    reason: str = ""
    remedy: str = ""


@frozen
class _Claim:
    """One distribution's entry point."""

    distribution: str
    version: str
    entry_point: EntryPoint


class PluginRegistry:
    """The exchanges of this process: installed packages, and what the application registered itself.

    Packages are looked for once; ``refresh`` looks again. Nothing is imported before ``load``.
    """

    def __init__(self, blocked: Iterable[str] = ()) -> None:
        """``blocked`` are names of exchanges or distributions, in addition to those in TICKHIVE_BLOCK_PLUGINS."""
        self._found: dict[str, FoundPlugin] | None = None
        self._blocked: dict[str, str] = {}
        self.block(*blocked)
        for name in os.environ.get(BLOCK_VARIABLE, "").split(","):
            if name.strip():
                self._blocked[_normalised(name)] = f"by the environment variable {BLOCK_VARIABLE}"
        self._registered: dict[str, object] = {}
        self._claims: dict[str, _Claim] = {}
        self._stacks: dict[str, ExchangeStack] = {}

    def block(self, *names: str) -> None:
        """Do not use these exchanges, or the exchanges of these distributions, from now on."""
        for name in names:
            self._blocked[_normalised(name)] = "by a setting"
        self._found = None

    def register(self, exchange: str, plugin: object) -> ExchangeStack:
        """Use a module or instance of this process as the plugin for an exchange; it goes before an installed one.

        Raises PluginError when it cannot be one, or when the name is registered already.
        """
        check_exchange_name(exchange)
        if exchange in self._registered:
            raise PluginError(exchange, "the name is registered already", "Unregister the other plugin first")
        stack = ExchangeStack.from_plugin(exchange, plugin)
        self._registered[exchange] = plugin
        self._forget(exchange)
        return stack

    def unregister(self, exchange: str) -> None:
        """Forget what ``register`` was told; an installed package of that name is used again."""
        self._registered.pop(exchange, None)
        self._forget(exchange)

    def _forget(self, exchange: str) -> None:
        # The others keep their stacks: collectors recognise by them that they share a venue.
        self._stacks.pop(exchange, None)
        self._found = None

    def refresh(self) -> None:
        """Forget what was found and loaded: installed packages are looked for again at the next question."""
        self._found = None
        self._stacks = {}

    def found(self) -> Mapping[str, FoundPlugin]:
        """Every exchange by name, usable or not, without importing any. A failed ``load`` shows as broken."""
        if self._found is None:
            self._claims = {}
            self._found = dict(sorted(self._discover()))
        return self._found

    def available(self) -> list[str]:
        """The names of the exchanges that can be used, as far as is known without importing them."""
        return [name for name, plugin in self.found().items() if plugin.status == "available"]

    def installed(self) -> list[str]:
        """The names of all exchanges that are not blocked, broken ones included."""
        return [name for name, plugin in self.found().items() if plugin.status != "blocked"]

    def load(self, exchange: str, middleware: Iterable[object] = ()) -> ExchangeStack:
        """Import an exchange's plugin, check it and stack it; later calls get the same stack.

        With ``middleware`` (see ``ExchangeStack.from_plugin``) a stack of its own is made. Raises UnknownExchangeError
        when nobody offers the exchange, PluginError when its plugin is blocked, broken or claimed twice.
        """
        layers = tuple(middleware)
        stack = self._load(exchange)
        return stack.with_middleware(layers) if layers else stack

    def _load(self, exchange: str) -> ExchangeStack:
        plugin = self.found().get(exchange)
        if plugin is None:
            raise unknown_exchange(exchange, self.installed())
        if plugin.status in ("blocked", "conflict") or (plugin.status == "broken" and exchange not in self._claims):
            raise PluginError(
                exchange, plugin.reason, plugin.remedy, distribution=plugin.distribution, version=plugin.version
            )
        if exchange in self._stacks:
            return self._stacks[exchange]
        try:
            stack = ExchangeStack.from_plugin(
                exchange, self._import(plugin), distribution=plugin.distribution, version=plugin.version
            )
        except PluginError as error:
            self._note(evolve(plugin, status="broken", reason=error.cause, remedy=error.remedy))
            raise
        self._note(evolve(plugin, status="available", reason="", remedy=""))
        self._stacks[exchange] = stack
        return stack

    def _import(self, plugin: FoundPlugin) -> object:
        """The plugin object itself; PluginError for whatever its import does, short of the user's own Ctrl-C."""
        if plugin.exchange in self._registered:
            return self._registered[plugin.exchange]
        try:
            return self._claims[plugin.exchange].entry_point.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise PluginError(
                plugin.exchange,
                f"importing {plugin.module} failed with {_describe(error)}",
                _import_remedy(error, plugin),
                distribution=plugin.distribution,
                version=plugin.version,
            ) from error

    def _note(self, plugin: FoundPlugin) -> None:
        if self._found is not None:
            self._found[plugin.exchange] = plugin

    def _discover(self) -> Iterator[tuple[str, FoundPlugin]]:
        claims: dict[str, list[_Claim]] = {}
        for name, version, distribution in _claiming_distributions():
            try:
                entry_points = [each for each in distribution.entry_points if each.group == GROUP]
            except Exception as error:
                reason, remedy = f"its entry points cannot be read ({_describe(error)})", f"Reinstall {name}"
                yield name, _broken(name, name, version, "", reason, remedy)
                continue
            for entry_point in entry_points:
                claims.setdefault(entry_point.name, []).append(_Claim(name, version, entry_point))
        for exchange, claimants in claims.items():
            if exchange not in self._registered:
                yield exchange, self._judge(exchange, claimants)
        for exchange, plugin in self._registered.items():
            module = getattr(plugin, "__name__", None) or f"{type(plugin).__module__}:{type(plugin).__qualname__}"
            yield (
                exchange,
                self._blocked_or(
                    FoundPlugin(exchange=exchange, distribution=None, version=None, module=module), exchange
                ),
            )

    def _judge(self, exchange: str, claimants: list[_Claim]) -> FoundPlugin:
        """What becomes of one name, given everybody who claims it."""
        free = [claim for claim in claimants if _normalised(claim.distribution) not in self._blocked]
        if len(free) > 1:
            return self._blocked_or(_conflict(exchange, free), exchange)
        claim = free[0] if free else claimants[0]
        module = claim.entry_point.value
        if not _EXCHANGE_NAME.fullmatch(exchange):
            return _broken(exchange, claim.distribution, claim.version, module, "that is no usable name", _NAME_RULE)
        self._claims[exchange] = claim
        return self._blocked_or(
            FoundPlugin(exchange=exchange, distribution=claim.distribution, version=claim.version, module=module),
            exchange,
            claim.distribution,
        )

    def _blocked_or(self, plugin: FoundPlugin, *names: str) -> FoundPlugin:
        """The plugin, as blocked when one of its names is."""
        for name in names:
            why = self._blocked.get(_normalised(name))
            if why:
                remedy = f"Take {name!r} out of what blocks it to use the exchange"
                return evolve(plugin, status="blocked", reason=f"it is blocked {why}", remedy=remedy)
        return plugin


def check_exchange_name(exchange: str) -> None:
    """Refuse (PluginError) a name that could not stand in configurations, paths and package names."""
    if not _EXCHANGE_NAME.fullmatch(exchange):
        raise PluginError(exchange, "that is no usable name", _NAME_RULE)


def unknown_exchange(exchange: str, installed: Iterable[str]) -> UnknownExchangeError:
    """The error for an exchange nobody offers, with the nearest name among those there are."""
    names = sorted(installed)
    # A package is named after the exchange; what is no name of an exchange, a symbol say, has none, and is like many.
    looks_like_one = _EXCHANGE_NAME.fullmatch(exchange)
    close = difflib.get_close_matches(exchange.lower(), names, n=1, cutoff=0.6 if looks_like_one else 0.8)
    if close:
        return UnknownExchangeError(exchange, names, f"Did you mean {close[0]!r}?")
    return UnknownExchangeError(exchange, names, None if looks_like_one else f"{_NAME_RULE}; is this a symbol?")


@cache
def default_registry() -> PluginRegistry:
    """The registry of this process, made at first need."""
    return PluginRegistry()


_NAME_RULE = "An exchange's name is lower-case letters, digits, '-' and '_'"


def _claiming_distributions() -> Iterator[tuple[str, str, Distribution]]:
    """Every installed distribution that mentions the group, each once: the first on the path is what is imported."""
    seen: set[str] = set()
    for distribution in distributions():
        try:
            # Reading one text is much cheaper than parsing the metadata of everything that is installed.
            if GROUP not in (distribution.read_text("entry_points.txt") or ""):
                continue
        except (OSError, ValueError):
            # What is no text announces nothing; it may be a package that has nothing to do with us.
            continue
        name, version = _identity(distribution)
        if _normalised(name) not in seen:
            seen.add(_normalised(name))
            yield name, version, distribution


def _identity(distribution: Distribution) -> tuple[str, str]:
    """Name and version, also of a distribution whose metadata is damaged."""
    try:
        name, version = str(distribution.metadata["Name"] or ""), str(distribution.metadata["Version"] or "")
    except Exception:
        name = version = ""
    return name or "(unnamed distribution)", version or "(unknown version)"


def _conflict(exchange: str, claims: list[_Claim]) -> FoundPlugin:
    who = " and ".join(f"{claim.distribution} {claim.version}" for claim in claims)
    names = [claim.distribution for claim in claims]
    return FoundPlugin(
        exchange=exchange,
        distribution=", ".join(names),
        version=", ".join(claim.version for claim in claims),
        module=", ".join(claim.entry_point.value for claim in claims),
        status="conflict",
        reason=f"{who} both claim this name",
        remedy=f"Uninstall one of them, or block one: {BLOCK_VARIABLE}={names[-1]}",
    )


def _broken(exchange: str, distribution: str, version: str, module: str, reason: str, remedy: str) -> FoundPlugin:
    return FoundPlugin(
        exchange=exchange,
        distribution=distribution,
        version=version,
        module=module,
        status="broken",
        reason=reason,
        remedy=remedy,
    )


def _describe(error: BaseException) -> str:
    """An error in one line: its kind, and what it says."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _import_remedy(error: BaseException, plugin: FoundPlugin) -> str:
    block = f"or block it: {BLOCK_VARIABLE}={plugin.exchange}"
    package = plugin.distribution or "it"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install what brings the module {error.name!r}, reinstall {package}, {block}"
    return f"Upgrade or reinstall {package}, {block}"


def _normalised(name: str) -> str:
    """Names of distributions as package indexes compare them; names of exchanges have that form already."""
    return re.sub(r"[-_.]+", "-", name.strip()).lower()
