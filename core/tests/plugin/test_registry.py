"""Discovery without import, loading one by one, and what a broken, blocked or doubled package does to the others."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tickhive.errors import PluginError, UnknownExchangeError
from tickhive.plugin import hookimpl
from tickhive.plugin.registry import PluginRegistry, default_registry


class Plugin:
    """The smallest plugin an application can register."""

    @hookimpl
    def connect(self, channels: Any) -> Any:
        return []

    @hookimpl
    def parse(self, frame: bytes) -> Any:
        return []


def test_discovery_imports_nothing(install: Any) -> None:
    install("acme", "raise RuntimeError('imported')")
    found = PluginRegistry().found()["acme"]
    assert (found.distribution, found.version, found.module) == ("tickhive-acme", "1.0", "tickhive_acme")
    assert (found.status, found.reason) == ("available", "")
    assert "tickhive_acme" not in sys.modules


def test_loading_answers_one_stack(install: Any) -> None:
    install("acme", version="2.1")
    registry = PluginRegistry()
    stack = registry.load("acme")
    assert (stack.exchange, stack.distribution, stack.version, stack.api_version) == ("acme", "tickhive-acme", "2.1", 1)
    assert registry.load("acme") is stack
    assert "acme" in registry.available()


def test_an_entry_point_may_name_an_instance(install: Any) -> None:
    source = """
    from tickhive.plugin import hookimpl
    class Acme:
        @hookimpl
        def connect(self, channels): return ["dial"]
        @hookimpl
        def parse(self, frame): return [frame]
    plugin = Acme()
    """
    install("acme", source, target="tickhive_acme:plugin")
    assert PluginRegistry().load("acme").bound("parse")(None, b"x", 0) == [b"x"]


def test_middleware_makes_a_stack_of_its_own(install: Any) -> None:
    class Counting:
        seen = 0

        @hookimpl(wrapper=True)
        def parse(self) -> Any:
            self.seen += 1
            return (yield)

    install("acme")
    registry, counting = PluginRegistry(), Counting()
    plain, wrapped = registry.load("acme"), registry.load("acme", [counting])
    assert registry.load("acme") is plain is not wrapped
    plain.bound("parse")(None, b"", 0)
    assert counting.seen == 0
    wrapped.bound("parse")(None, b"", 0)
    assert counting.seen == 1
    assert (wrapped.distribution, wrapped.version) == ("tickhive-acme", "1.0")


FAILING_IMPORTS = {
    "missing module": ("import tickhive_acme_no_such_module", "ModuleNotFoundError", "Install what brings"),
    "missing name": ("from tickhive.plugin import no_such_name", "ImportError", "Upgrade or reinstall"),
    "syntax": ("def connect(:\n", "SyntaxError", "Upgrade or reinstall"),
    "any error": ("1 / 0", "ZeroDivisionError: division by zero", "Upgrade or reinstall"),
    "exit": ("raise SystemExit(3)", "SystemExit: 3", "Upgrade or reinstall"),
    "sys.exit": ("import sys; sys.exit()", "SystemExit", "Upgrade or reinstall"),
    "deliberately base": ("raise BaseException('odd')", "BaseException: odd", "Upgrade or reinstall"),
    "many lines": ("raise ValueError('first\\nsecond')", "ValueError: first.", "Upgrade or reinstall"),
}


@pytest.mark.parametrize(("source", "seen", "remedy"), FAILING_IMPORTS.values(), ids=FAILING_IMPORTS.keys())
def test_a_failing_import_harms_only_its_own_exchange(install: Any, source: str, seen: str, remedy: str) -> None:
    install("acme", source, version="0.3")
    install("globex", site="other")
    registry = PluginRegistry()
    with pytest.raises(PluginError) as caught:
        registry.load("acme")
    error, text = caught.value, str(caught.value)
    assert (error.exchange, error.distribution, error.version) == ("acme", "tickhive-acme", "0.3")
    assert "tickhive-acme 0.3" in text
    assert f"importing tickhive_acme failed with {seen}" in text
    assert remedy in text
    assert "TICKHIVE_BLOCK_PLUGINS=acme" in text
    assert registry.load("globex").exchange == "globex"
    found = registry.found()["acme"]
    assert (found.status, found.reason) == ("broken", error.cause)
    assert "acme" not in registry.available()


def test_ctrl_c_during_an_import_is_the_users(install: Any) -> None:
    install("acme", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        PluginRegistry().load("acme")


BROKEN_PLUGINS = {
    "unknown hook": ("@hookimpl\ndef subscribed(channels): ...", "", "there is no hook subscribed"),
    "unmarked": ("def subscribe(channels): ...", "", "subscribe is named like a hook but not marked"),
    "wrong argument": ("@hookimpl\ndef subscribe(chanels): ...", "", "subscribe: it has no argument chanels"),
    "class": ("class Acme: ...", "tickhive_acme:Acme", "Acme is a class"),
    "nothing there": ("", "tickhive_acme:absent", "AttributeError"),
    "too new": ("TICKHIVE_API = 999", "", "plugin API 999"),
    "too old": ("TICKHIVE_API = 0", "", "plugin API 0"),
    "settings": ("@hookimpl\ndef settings(): return dict", "", "not an attrs class"),
    "failing settings": ("@hookimpl\ndef settings(): return 1 / 0", "", "ZeroDivisionError"),
    "required": ("del parse", "", "the required hook parse is missing"),
}


@pytest.mark.parametrize(("addition", "target", "cause"), BROKEN_PLUGINS.values(), ids=BROKEN_PLUGINS.keys())
def test_a_refused_plugin_names_its_package(install: Any, addition: str, target: str, cause: str) -> None:
    source = (
        "from tickhive.plugin import hookimpl\n"
        "@hookimpl\ndef connect(channels): return []\n@hookimpl\ndef parse(frame): return []\n" + addition
    )
    install("acme", source, target=target)
    install("globex", site="other")
    registry = PluginRegistry()
    with pytest.raises(PluginError, match=r"'acme' \(tickhive-acme 1\.0\)") as caught:
        registry.load("acme")
    assert cause in caught.value.cause
    assert caught.value.remedy
    assert isinstance(caught.value, ValueError)
    assert registry.load("globex").offers("parse")


def test_a_mended_package_loads_at_the_next_attempt(install: Any) -> None:
    folder = install("acme", "raise RuntimeError")
    registry = PluginRegistry()
    with pytest.raises(PluginError):
        registry.load("acme")
    source = folder / "tickhive_acme.py"
    source.write_text(
        "from tickhive.plugin import hookimpl\n@hookimpl\ndef connect(channels): return []\n"
        "@hookimpl\ndef parse(frame): return []\n"
    )
    assert registry.load("acme").exchange == "acme"
    assert registry.found()["acme"].status == "available"


def test_two_distributions_with_one_name_are_both_named(install: Any) -> None:
    install("acme", distribution="tickhive-acme", version="1.0")
    install("acme", distribution="acme-for-tickhive", version="2.0", site="other")
    install("globex", site="third")
    registry = PluginRegistry()
    assert registry.found()["acme"].status == "conflict"
    with pytest.raises(PluginError) as caught:
        registry.load("acme")
    for part in ("tickhive-acme 1.0", "acme-for-tickhive 2.0", "Uninstall one of them, or block one"):
        assert part in str(caught.value)
    assert registry.load("globex")
    assert "tickhive_acme" not in sys.modules


@pytest.mark.parametrize(
    ("blocked", "left"), [("tickhive-acme", "acme-for-tickhive"), ("Acme_For.Tickhive", "tickhive-acme")]
)
def test_blocking_one_of_two_distributions_ends_the_conflict(install: Any, blocked: str, left: str) -> None:
    install("acme", distribution="tickhive-acme")
    install("acme", distribution="acme-for-tickhive", site="other")
    assert PluginRegistry([blocked]).load("acme").distribution == left


def test_the_same_distribution_twice_on_the_path_is_one(install: Any) -> None:
    install("acme", version="1.0", site="wheel")
    install("acme", version="1.1", site="editable")
    registry = PluginRegistry()
    assert registry.load("acme").version == "1.1", "the first on the path is the one that is imported"


@pytest.mark.parametrize("name", ["acme", "tickhive-acme", "Tickhive_Acme"])
@pytest.mark.parametrize("by_environment", [True, False])
def test_blocking(install: Any, monkeypatch: pytest.MonkeyPatch, name: str, by_environment: bool) -> None:
    install("acme", "raise RuntimeError('imported')")
    install("globex", site="other")
    if by_environment:
        monkeypatch.setenv("TICKHIVE_BLOCK_PLUGINS", f" other , {name},")
        registry = PluginRegistry()
        why = "environment variable TICKHIVE_BLOCK_PLUGINS"
    else:
        registry, why = PluginRegistry([name]), "by a setting"
    assert registry.found()["acme"].status == "blocked"
    assert "acme" not in registry.available()
    assert "globex" in registry.available()
    with pytest.raises(PluginError, match="it is blocked") as caught:
        registry.load("acme")
    assert why in caught.value.cause
    assert "Take" in caught.value.remedy
    assert "tickhive_acme" not in sys.modules


def test_an_unknown_exchange_says_what_there_is_and_what_to_install(install: Any) -> None:
    install("acme")
    registry = PluginRegistry()
    with pytest.raises(UnknownExchangeError, match="Exchange not supported: 'initech'") as caught:
        registry.load("initech")
    assert "acme" in caught.value.installed
    assert "pip install tickhive-initech" in str(caught.value)
    with pytest.raises(UnknownExchangeError, match="Did you mean 'acme'"):
        registry.load("ACME")


@pytest.mark.parametrize("name", ["Acme", "../acme", "a b"])
def test_a_name_that_could_not_be_a_folder_is_refused(install: Any, name: str) -> None:
    install("acme", entry_points=f"[tickhive.exchanges]\n{name} = tickhive_acme\n")
    with pytest.raises(PluginError, match="no usable name"):
        PluginRegistry().load(name)
    with pytest.raises(PluginError, match="no usable name"):
        PluginRegistry().register(name, Plugin())


def test_damaged_metadata_of_one_package_hides_no_other(install: Any, tmp_path: Path) -> None:
    install("acme", site="good")
    install("globex", site="bad", entry_points="[tickhive.exchanges]\nnot an entry point\n")
    install("initech", site="nameless", metadata="")
    folder = install("umbrella", site="binary")
    next(folder.glob("*.dist-info/entry_points.txt")).write_bytes(b"\xff\xfe[tickhive.exchanges]")
    registry = PluginRegistry()
    assert registry.load("acme")
    assert registry.found()["tickhive-globex"].status == "broken"
    assert "entry points cannot be read" in registry.found()["tickhive-globex"].reason
    assert registry.load("initech").distribution == "(unnamed distribution)"


def test_an_application_registers_its_own(install: Any) -> None:
    install("acme")
    registry, own = PluginRegistry(), Plugin()
    installed = registry.load("acme")
    registry.register("acme", own)
    assert registry.load("acme") is not installed
    assert registry.load("acme").distribution is None
    assert registry.found()["acme"].module.endswith("Plugin")
    with pytest.raises(PluginError, match="registered already"):
        registry.register("acme", Plugin())
    registry.unregister("acme")
    assert registry.load("acme").distribution == "tickhive-acme"


def test_registering_and_blocking_one_exchange_keeps_the_stacks_of_others(install: Any) -> None:
    install("acme")
    install("globex", site="other")
    registry = PluginRegistry()
    acme, globex = registry.load("acme"), registry.load("globex")
    registry.register("initech", Plugin())
    registry.block("tickhive-globex")
    assert registry.load("acme") is acme
    with pytest.raises(PluginError, match="it is blocked by a setting"):
        registry.load("globex")
    registry.refresh()
    assert registry.load("acme") is not acme
    assert globex.exchange == "globex"


def test_an_unusable_object_is_not_registered() -> None:
    registry = PluginRegistry()
    with pytest.raises(PluginError, match="is a class"):
        registry.register("acme", Plugin)
    with pytest.raises(PluginError, match="required hook connect is missing"):
        registry.register("acme", ModuleType("empty"))
    assert "acme" not in registry.found()


def test_a_package_installed_meanwhile_is_found_after_a_refresh(install: Any) -> None:
    registry = PluginRegistry()
    assert "acme" not in registry.found()
    install("acme")
    assert "acme" not in registry.found()
    registry.refresh()
    assert "acme" in registry.found()


def test_the_process_has_one_default_registry() -> None:
    assert default_registry() is default_registry()
