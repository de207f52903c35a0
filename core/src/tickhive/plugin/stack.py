"""One exchange's hooks, stacked: the core's defaults, the plugin on them, the application's wrappers on top."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType, SimpleNamespace
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import attrs
import pluggy

from tickhive.errors import PluginError
from tickhive.plugin import defaults, hookspecs
from tickhive.plugin.binding import bind, bind_wrapper
from tickhive.plugin.deprecation import Deprecation, PluginDeprecationWarning, deprecations
from tickhive.plugin.validation import HOOKS, Hook, PluginFaults, read_api_version, read_middleware, read_plugin

Around: TypeAlias = Callable[[str, Callable[..., Any]], Callable[..., Any]]
"""Given a hook's name and how to ask it, answers another way to ask it."""


class ExchangeStack:
    """Everything the core may ask about one exchange. It keeps no state, so collectors share it.

    ``call`` is the hook relay: ``stack.call.connect(channels=..., settings=..., credentials=..., dials=...)``, always
    by keyword and with every argument of the specification. ``bound`` is the same for the hot road. ``origin`` is the
    stack without the application's wrappers: those with equal ones talk to the same venue. ``deprecations`` is what
    the plugin uses that a coming tickhive will not have.
    """

    def __init__(
        self,
        exchange: str,
        plugin: list[Hook],
        middleware: Iterable[list[Hook]] = (),
        *,
        api_version: int,
        distribution: str | None = None,
        version: str | None = None,
        deprecations: tuple[Deprecation, ...] = (),
        origin: ExchangeStack | None = None,
    ) -> None:
        """Stack hooks that were read and checked; most callers want ``from_plugin``."""
        self.exchange = exchange
        self.distribution = distribution
        self.version = version
        self.api_version = api_version
        self.deprecations = deprecations
        self.origin = origin if origin is not None else self
        self._wrappers: tuple[object, ...] = ()
        self._derived: WeakValueDictionary[tuple[int, ...], ExchangeStack] = WeakValueDictionary()
        self._layers = [plugin, *middleware]
        self._plugin = {hook.name: hook for hook in plugin if not hook.wrapper}
        self._defaults = {hook.name: hook for hook in _DEFAULTS}
        manager = pluggy.PluginManager(hookspecs.PROJECT)
        manager.add_hookspecs(hookspecs)
        manager.register(defaults, name="core defaults")
        for number, hooks in enumerate(self._layers):
            for position, hook in enumerate(hooks):
                manager.register(_alone(hook), name=f"{exchange} {number}.{position}")
        self._wrapped = {hook.name for hooks in self._layers for hook in hooks if hook.wrapper}
        self.call: Any = manager.hook
        self._relay = manager.hook
        self._observed = False
        self.settings_type = self._ask_settings_type()

    @classmethod
    def from_plugin(
        cls,
        exchange: str,
        plugin: object,
        middleware: Iterable[object] = (),
        *,
        distribution: str | None = None,
        version: str | None = None,
    ) -> ExchangeStack:
        """Check a module or instance and stack it; PluginError lists everything that is wrong with it. What it uses of
        the deprecated is warned of (PluginDeprecationWarning).

        ``middleware`` are modules or instances whose functions are marked ``@hookimpl(wrapper=True)``; the last one is
        the outermost.
        """

        def refuse(cause: str, remedy: str) -> PluginError:
            return PluginError(exchange, cause, remedy, distribution=distribution, version=version)

        try:
            api_version = read_api_version(plugin)
            hooks = read_plugin(plugin, api_version)
            goes = deprecations(plugin, hooks, api_version)
        except PluginFaults as faults:
            raise refuse(faults.cause, faults.remedy) from None
        except (Exception, SystemExit) as error:
            cause = f"its members cannot be read: {type(error).__name__}: {error}"
            raise refuse(cause, "Report this to its authors") from error
        stack = cls(
            exchange, hooks, api_version=api_version, distribution=distribution, version=version, deprecations=goes
        )
        if goes:
            warnings.warn(
                PluginDeprecationWarning(f"Exchange plugin {stack.title}: {'; '.join(map(str, goes))}"), stacklevel=2
            )
        return stack.with_middleware(middleware)

    def with_middleware(self, middleware: Iterable[object]) -> ExchangeStack:
        """The same exchange with these wrappers stacked on top; the last one is the outermost. The same wrappers give
        the same stack, as long as somebody uses it.
        """
        wrappers = tuple(middleware)
        if not wrappers:
            return self
        # A stack keeps its wrappers alive: no other object has such an id while it is found by it.
        key = tuple(map(id, wrappers))
        stack = self._derived.get(key)
        if stack is None:
            plugin, *below = self._layers
            layers = [*below, *map(self._read_middleware, wrappers)]
            stack = self._derived[key] = ExchangeStack(
                self.exchange,
                plugin,
                layers,
                api_version=self.api_version,
                distribution=self.distribution,
                version=self.version,
                deprecations=self.deprecations,
                origin=self.origin,
            )
            stack._wrappers = wrappers
        return stack

    def _read_middleware(self, wrapper: object) -> list[Hook]:
        try:
            return read_middleware(wrapper, read_api_version(wrapper))
        except PluginFaults as faults:
            name = getattr(wrapper, "__name__", type(wrapper).__name__)
            raise self.refuse(f"the middleware {name} cannot be stacked: {faults.cause}", faults.remedy) from None

    @property
    def title(self) -> str:
        """The exchange with the package that brings it, as messages name it."""
        return f"{self.exchange!r} ({self.package})"

    @property
    def package(self) -> str:
        """The distribution and its version: ``tickhive-acme 1.0``."""
        return f"{self.distribution} {self.version}" if self.distribution else "no installed distribution"

    @property
    def packages(self) -> frozenset[str]:
        """The top-level packages the plugin's and the wrappers' functions are from."""
        modules = (getattr(hook.function, "__module__", None) or "" for layer in self._layers for hook in layer)
        return frozenset(module.partition(".")[0] for module in modules)

    def observe(self, around: Around) -> None:
        """From now on ask every hook by way of ``around``, but those that are bound; only the first call counts."""
        if not self._observed:
            self._observed = True
            self.call = SimpleNamespace(**{name: around(name, getattr(self._relay, name)) for name in HOOKS})

    def wraps(self, *names: str) -> bool:
        """Tell whether a wrapper is stacked on one of these hooks."""
        return not self._wrapped.isdisjoint(names)

    def offers(self, name: str) -> bool:
        """Tell whether the plugin itself answers this hook; the core's default does not count."""
        self._known(name)
        return name in self._plugin

    def bound(self, name: str) -> Callable[..., Any]:
        """The hook as a function of the specification's arguments, positional and in order.

        It answers what ``call`` answers, and costs no more than the plugin's function where the plugin takes all
        arguments in order. Bind once, when a socket opens.
        """
        function = self._bound_to_plugin(name)
        if name in self._wrapped:
            # In pluggy's order, the innermost first: marks such as tryfirst count.
            for each in getattr(self._relay, name).get_hookimpls():
                if each.wrapper:
                    function = bind_wrapper(name, HOOKS[name], each.function, each.argnames, function)
        return function

    def _bound_to_plugin(self, name: str) -> Callable[..., Any]:
        specified = self._known(name)
        plugin, default = self._plugin.get(name), self._defaults.get(name)
        fallback = bind(name, specified, default.function, default.arguments) if default else None
        if plugin is not None:
            return bind(name, specified, plugin.function, plugin.arguments, fallback)
        return fallback or bind(name, specified, _nobody, ())

    def refuse(self, cause: str, remedy: str) -> PluginError:
        """Make the error that blames this plugin, for whoever finds out later what is wrong with it."""
        return PluginError(self.exchange, cause, remedy, distribution=self.distribution, version=self.version)

    def __repr__(self) -> str:
        package = f" from {self.distribution} {self.version}" if self.distribution else ""
        return f"<ExchangeStack {self.exchange}{package}: {', '.join(sorted(self._plugin))}>"

    def _known(self, name: str) -> tuple[str, ...]:
        try:
            return HOOKS[name]
        except KeyError:
            close = difflib.get_close_matches(name, HOOKS, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"there is no hook {name!r}{hint}") from None

    def _ask_settings_type(self) -> type:
        try:
            answer = self.call.settings()
        except (Exception, SystemExit) as error:
            raise self.refuse(
                f"its settings hook failed: {type(error).__name__}: {error}", "Report this to its authors"
            ) from error
        if not (isinstance(answer, type) and attrs.has(answer)):
            raise self.refuse(
                f"its settings hook answered {answer!r}, not an attrs class", "Answer a class, such as ExchangeSettings"
            )
        return answer


def _nobody() -> None:
    """What a hook without implementation and default answers."""


def _alone(hook: Hook) -> ModuleType:
    """A namespace of this one hook. pluggy sees what was checked and nothing else of the author's object."""
    namespace = ModuleType(hook.name)
    setattr(namespace, hook.name, hook.function)
    return namespace


_DEFAULTS: list[Hook] = [
    Hook(name, function, tuple(function.__code__.co_varnames[: function.__code__.co_argcount]))
    for name, function in vars(defaults).items()
    if name in HOOKS
]
