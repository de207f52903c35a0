"""What the plugin contract is about to lose: the table of it, and the warning its users get when they are loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from types import ModuleType

from attrs import frozen

from tickhive.plugin.validation import HOOKS, Hook


class PluginDeprecationWarning(FutureWarning):
    """A plugin uses what a coming tickhive will not have; it works as before until then.

    Given once per plugin, when it is loaded. It names the package, its version, everything of that kind it uses, what
    to do instead, and the tickhive in which it ends. A FutureWarning, because who runs the plugin has to know it too.
    """


@frozen(kw_only=True)
class Deprecation:
    """One thing that goes. ``name`` is a hook (``heartbeat``), an argument of one (``parse.at``), a name authors import
    from ``tickhive.plugin`` (``Poll``), or a whole version of the contract (``API 1``).

    ``since`` and ``gone`` are versions of tickhive, ``instead`` an advice that begins with a verb.
    """

    name: str
    since: str
    gone: str
    instead: str

    @property
    def what(self) -> str:
        """The thing in words."""
        hook, _, argument = self.name.partition(".")
        if self.name.startswith("API "):
            return f"plugin {self.name}"
        if argument:
            return f"the argument {argument} of {hook}"
        return f"the hook {hook}" if hook in HOOKS else f"{hook} of tickhive.plugin"

    def __str__(self) -> str:
        return f"{self.what} is deprecated since tickhive {self.since} and goes in {self.gone}: {self.instead}"


DEPRECATED: Sequence[Deprecation] = ()
"""Everything that is deprecated at present. The policy is docs/reference/plugin-api-policy.md."""


def deprecations(plugin: object, hooks: Sequence[Hook], api_version: int) -> tuple[Deprecation, ...]:
    """Which deprecated things this plugin uses: it states them, answers them, or has imported them."""
    if not DEPRECATED:
        return ()
    used = {f"API {api_version}"}
    for hook in hooks:
        used |= {hook.name, *(f"{hook.name}.{argument}" for argument in hook.arguments)}
    values = {each.name for each in DEPRECATED if each.name.isidentifier() and each.name not in HOOKS}
    if values:
        used |= _imported(plugin, values)
    return tuple(each for each in DEPRECATED if each.name in used)


def _imported(plugin: object, names: Iterable[str]) -> set[str]:
    """Which of these names of ``tickhive.plugin`` the modules of the plugin's package hold."""
    vocabulary = vars(sys.modules["tickhive.plugin"])
    # By identity: not every value can be hashed or compared.
    wanted = {id(vocabulary[name]): name for name in names if name in vocabulary}
    module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__module__
    package = module.partition(".")[0]
    modules = [each for name, each in sys.modules.items() if name.partition(".")[0] == package]
    members = (value for each in modules for value in vars(each).values())
    return {wanted[id(value)] for value in members if id(value) in wanted}
