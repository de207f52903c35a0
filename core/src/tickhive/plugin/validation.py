"""Is this object a plugin? Reads its hooks and refuses, before anything is called, what could only fail later.

Everything is read with ``inspect`` and nothing is left to pluggy's own checks: those differ between its versions.
"""

from __future__ import annotations

import difflib
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import FunctionType, MethodType, ModuleType
from typing import Any

from attrs import frozen

from tickhive.plugin import hookspecs
from tickhive.plugin.contract import API_VERSION, OLDEST_API_VERSION
from tickhive.plugin.older import Term, adapter, vocabulary

_IMPLEMENTATION_MARK = f"{hookspecs.PROJECT}_impl"
_SPECIFICATION_MARK = f"{hookspecs.PROJECT}_spec"
_FIRST_API_VERSION = 1

HOOKS: Mapping[str, tuple[str, ...]] = {
    name: tuple(inspect.signature(function).parameters)
    for name, function in vars(hookspecs).items()
    if inspect.isfunction(function) and hasattr(function, _SPECIFICATION_MARK)
}
"""Every hook, with the names of its arguments in order."""


@frozen
class Hook:
    """One implementation: ``function`` answers the hook ``name`` and takes ``arguments``, in its own order."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[str, ...]
    wrapper: bool = False


@frozen
class Fault:
    """What is wrong with a plugin and what its author can do about it; ``hook`` is the hook it concerns."""

    cause: str
    remedy: str
    hook: str = ""


class PluginFaults(ValueError):
    """An object cannot be used as a plugin or as middleware; ``faults`` lists every reason found."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        super().__init__(self.cause)

    @property
    def cause(self) -> str:
        """All causes in one phrase."""
        return "; ".join(fault.cause for fault in self.faults)

    @property
    def remedy(self) -> str:
        """What to do about them, each advice once."""
        return ". ".join(dict.fromkeys(fault.remedy for fault in self.faults))


def read_plugin(plugin: object, api_version: int = API_VERSION) -> list[Hook]:
    """Read the hooks of an exchange plugin, written for this API; PluginFaults when it cannot be one.

    They are answered under today's names.
    """
    _refuse_wrong_kind(plugin)
    terms = vocabulary(HOOKS, api_version)
    hooks, faults = _read_hooks(plugin, terms)
    faults += _unmarked(plugin, terms)
    answered: set[str] = set()
    for hook in hooks:
        if hook.wrapper:
            continue
        if hook.name in answered:
            faults.append(Fault(f"{hook.name} is implemented twice", f"Keep one function for {hook.name}", hook.name))
        answered.add(hook.name)
    tried = answered | {fault.hook for fault in faults}
    for name, term in terms.items():
        if term.hook in hookspecs.REQUIRED_HOOKS and tried.isdisjoint((name, term.hook)):
            complete = f"{name}({', '.join(term.arguments)})"
            faults.append(
                Fault(f"the required hook {name} is missing", f"Add @hookimpl def {complete}; omit unused arguments")
            )
    if faults:
        raise PluginFaults(*faults)
    return hooks


def read_middleware(middleware: object, api_version: int = API_VERSION) -> list[Hook]:
    """Read the wrappers an application stacks on a plugin; PluginFaults when there is anything else."""
    _refuse_wrong_kind(middleware)
    hooks, faults = _read_hooks(middleware, vocabulary(HOOKS, api_version))
    faults += [
        Fault(
            f"{hook.name} is not a wrapper and would replace the plugin's answer",
            "Mark middleware with @hookimpl(wrapper=True), yield once and return the answer",
        )
        for hook in hooks
        if not hook.wrapper
    ]
    if not hooks and not faults:
        faults.append(Fault("it wraps no hook", "Mark its generator functions with @hookimpl(wrapper=True)"))
    if faults:
        raise PluginFaults(*faults)
    return hooks


def read_api_version(plugin: object) -> int:
    """The contract a plugin says it was written for: ``TICKHIVE_API`` of the module, or of the instance, its class or
    the class's module. One that says nothing was written for the first.
    """
    home = sys.modules.get(type(plugin).__module__)
    version = getattr(plugin, "TICKHIVE_API", getattr(home, "TICKHIVE_API", _FIRST_API_VERSION))
    spoken = f"{OLDEST_API_VERSION}" if OLDEST_API_VERSION == API_VERSION else f"{OLDEST_API_VERSION} to {API_VERSION}"
    if not isinstance(version, int) or isinstance(version, bool):
        raise PluginFaults(
            Fault(f"TICKHIVE_API is {version!r}, not a whole number", f"Set TICKHIVE_API = {API_VERSION}")
        )
    if not OLDEST_API_VERSION <= version <= API_VERSION:
        remedy = "Upgrade tickhive" if version > API_VERSION else "Upgrade the plugin"
        raise PluginFaults(Fault(f"it is written for plugin API {version}, this tickhive speaks {spoken}", remedy))
    return version


def _refuse_wrong_kind(plugin: object) -> None:
    """A plugin is a module or an instance: refuse what merely describes one."""
    if inspect.isclass(plugin):
        raise PluginFaults(
            Fault(
                f"{plugin.__name__} is a class; a plugin is a module of functions or an instance",
                f"Make an instance in the module, plugin = {plugin.__name__}(), and name that one",
            )
        )
    if plugin is None or inspect.isroutine(plugin):
        what = "None" if plugin is None else f"the function {plugin.__name__}"
        raise PluginFaults(
            Fault(f"{what} is not a plugin", "Name the module that holds the hooks, or an instance with such methods")
        )


def _members(plugin: object) -> Iterator[tuple[str, Any]]:
    """The public face of a module or instance, without running its properties."""
    for name in dir(plugin):
        if name.startswith("__"):
            continue
        static = inspect.getattr_static(plugin, name, None)
        if isinstance(static, property):
            continue
        yield name, getattr(plugin, name, None)


def _mark(member: Any) -> Mapping[str, Any] | None:
    """The options ``@hookimpl`` left on a member, None where it is not marked."""
    options = getattr(member, _IMPLEMENTATION_MARK, None)
    return options if isinstance(options, dict) else None


def _read_hooks(plugin: object, terms: Mapping[str, Term]) -> tuple[list[Hook], list[Fault]]:
    """Every marked function that can be a hook, and what is wrong with the others."""
    hooks: list[Hook] = []
    faults: list[Fault] = []
    for attribute, member in _members(plugin):
        options = _mark(member)
        if options is None:
            continue
        name = options.get("specname") or attribute
        if name not in terms:
            # optionalhook is pluggy's word for "some other version of the host asks this".
            if not options.get("optionalhook"):
                faults.append(_unknown(name, terms))
            continue
        found = _check_function(name, member, options, terms[name].arguments)
        if found:
            faults += found
        else:
            hooks.append(_hook(name, member, options, terms[name]))
    return hooks, faults


def _hook(name: str, member: Any, options: Mapping[str, Any], term: Term) -> Hook:
    """What was checked, under today's names: an adapter where the plugin's API has others."""
    arguments, wrapper = _argument_names(member), bool(options.get("wrapper"))
    today = dict(zip(term.arguments, HOOKS[term.hook], strict=True))
    if term.hook == name and all(today[each] == each for each in arguments):
        return Hook(name, member, arguments, wrapper)
    arguments = tuple(today[each] for each in arguments)
    function = adapter(term.hook, arguments, member, wrapper=wrapper)
    setattr(function, _IMPLEMENTATION_MARK, {**options, "specname": None})
    return Hook(term.hook, function, arguments, wrapper)


def _unknown(name: str, terms: Mapping[str, Term]) -> Fault:
    close = difflib.get_close_matches(name, terms, n=1)
    if close:
        return Fault(f"there is no hook {name}", f"Rename it to {close[0]}, if that is meant", close[0])
    return Fault(f"there is no hook {name}", f"Hooks are {', '.join(terms)}; other functions carry no @hookimpl")


def _unmarked(plugin: object, terms: Mapping[str, Term]) -> list[Fault]:
    """What is named like a hook but carries no mark: pluggy would pass it over in silence."""
    faults: list[Fault] = []
    for name, member in _members(plugin):
        if name not in terms or _mark(member) is not None or isinstance(member, ModuleType):
            continue
        # An instance keeps values of its own under such names (self.settings); a module does so only by mistake.
        if callable(member) or isinstance(plugin, ModuleType):
            faults.append(
                Fault(
                    f"{name} is named like a hook but not marked",
                    f"Mark {name} with @hookimpl, or give it another name",
                    name,
                )
            )
    return faults


def _check_function(name: str, member: Any, options: Mapping[str, Any], allowed: Sequence[str]) -> list[Fault]:
    """What forbids this marked member to be the hook ``name``, which has the ``allowed`` arguments."""
    if not isinstance(member, FunctionType | MethodType):
        return [
            Fault(f"{name} is a {type(member).__name__}, not a function", f"Write {name} as a plain function", name)
        ]
    faults = _check_manner(name, _code(member), options)
    takes = f"{name} may take {', '.join(allowed)}" if allowed else f"{name} takes no arguments"
    for parameter in _parameters(member):
        cause = _check_parameter(parameter, allowed)
        if cause:
            faults.append(Fault(f"{name}: {cause}", takes[0].upper() + takes[1:], name))
    return faults


def _check_manner(name: str, function: Any, options: Mapping[str, Any]) -> list[Fault]:
    """Hooks answer at once: nothing to await, nothing to iterate; only wrappers yield, and only in the one style."""
    if options.get("hookwrapper"):
        return [Fault(f"{name} is an old-style wrapper", "Use @hookimpl(wrapper=True): yield, then return", name)]
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        return [Fault(f"{name} is async", "Hooks answer with data and never wait: write a plain def", name)]
    yields = inspect.isgeneratorfunction(function)
    if options.get("wrapper") and not yields:
        return [Fault(f"{name} is marked as a wrapper but never yields", "Yield once: answer = yield", name)]
    if yields and not options.get("wrapper"):
        return [Fault(f"{name} is a generator", "Return a list or tuple instead of yielding", name)]
    if options.get("trylast") and not options.get("wrapper"):
        return [Fault(f"{name} is marked trylast, behind the core's default", "Leave trylast out", name)]
    return []


def _check_parameter(parameter: inspect.Parameter, allowed: Sequence[str]) -> str:
    """Why a hook may not have this parameter; empty when it may."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
        return f"it takes {stars}{parameter.name}, but arguments are passed by name"
    if parameter.name not in allowed:
        close = difflib.get_close_matches(parameter.name, allowed, n=1)
        return f"it has no argument {parameter.name}" + (f" (did you mean {close[0]}?)" if close else "")
    if parameter.kind is parameter.KEYWORD_ONLY:
        return f"the argument {parameter.name} is keyword-only"
    if parameter.default is not parameter.empty:
        return f"the argument {parameter.name} has a default, but it is always given"
    return ""


def _code(member: Any) -> Any:
    """The function behind decorators (``functools.wraps``) and methods: pluggy reads the arguments there too."""
    function = member.__func__ if isinstance(member, MethodType) else member
    return inspect.unwrap(function)


def _parameters(member: Any) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(_code(member)).parameters.values())
    return parameters[1:] if isinstance(member, MethodType) else parameters


def _argument_names(member: Any) -> tuple[str, ...]:
    return tuple(parameter.name for parameter in _parameters(member))
