"""From a configuration to a collector: plugins, an application's own classes, and every way to be refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define

from tickhive.channels import Channel, DataType
from tickhive.collector.base import BaseDataCollector
from tickhive.collector.plugin_collector import PluginCollector
from tickhive.errors import ConfigurationError, PluginError, UnknownExchangeError
from tickhive.events import MarketEvent
from tickhive.exchanges import ExchangeCollectorConfig, ExchangeFactory
from tickhive.plugin import Dial, ExchangeSettings, Fetch, hookimpl
from tickhive.plugin.registry import PluginRegistry


@define(kw_only=True)
class AcmeSettings(ExchangeSettings):
    region: str = "moon"


class Acme:
    """A venue of trades only, whose names are its own."""

    @hookimpl
    def settings(self) -> type:
        return AcmeSettings

    @hookimpl
    def connect(self, channels: Sequence[Channel]) -> Sequence[Dial | Fetch]:
        for channel in channels:
            if channel.data_type is not DataType.TRADE:
                raise ValueError(f"{channel}: acme has only trades")
        return [Dial("main", ["ws://127.0.0.1:1"], channels)]

    @hookimpl
    def parse(self) -> Sequence[Any]:
        return ()


class OwnCollector(BaseDataCollector):
    async def _actual_connect(self) -> None: ...

    async def _actual_disconnect(self) -> None: ...

    async def _subscribe_channels(self, channels: Sequence[Channel]) -> None: ...

    def _process_message(self, message: Any, at: int) -> list[MarketEvent]:
        return []


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> PluginRegistry:
    monkeypatch.delenv("TICKHIVE_BLOCK_PLUGINS", raising=False)
    registry = PluginRegistry()
    monkeypatch.setattr(ExchangeFactory, "registry", registry)
    monkeypatch.setattr(ExchangeFactory, "_classes", {})
    ExchangeFactory.register("acme", Acme())
    return registry


def config(exchange: str = "acme", **changes: Any) -> ExchangeCollectorConfig:
    return ExchangeCollectorConfig(**{"exchange": exchange, "symbol": "A-B", "data_types": ["trade"], **changes})


def test_a_plugins_collector() -> None:
    collector = ExchangeFactory.create_collector(config(settings={"region": "mars"}))
    assert type(collector) is PluginCollector
    assert collector.settings == AcmeSettings(region="mars")
    assert collector.name == "acme:A-B"


def test_supported_exchanges_are_sorted() -> None:
    ExchangeFactory.register("zork", OwnCollector)
    supported = ExchangeFactory.get_supported_exchanges()
    assert {"acme", "zork"} <= set(supported)
    assert supported == sorted(supported)


def test_an_applications_own_class() -> None:
    ExchangeFactory.register("globex", OwnCollector)
    collector = ExchangeFactory.create_collector(config("globex"))
    assert type(collector) is OwnCollector
    assert collector.config.exchange == "globex"
    with pytest.raises(ConfigurationError, match="globex: already registered"):
        ExchangeFactory.register("globex", OwnCollector)
    ExchangeFactory.unregister("globex")
    with pytest.raises(UnknownExchangeError):
        ExchangeFactory.create_collector(config("globex"))


def test_an_own_class_goes_before_a_plugin() -> None:
    ExchangeFactory.register("acme", OwnCollector)
    assert type(ExchangeFactory.create_collector(config())) is OwnCollector


def test_a_class_that_is_no_collector_is_refused() -> None:
    with pytest.raises(PluginError, match="Acme is a class"):
        ExchangeFactory.register("globex", Acme)


def test_a_plugins_own_collector_class(registry: PluginRegistry) -> None:
    class GlobexCollector(PluginCollector):
        pass

    class Globex(Acme):
        @hookimpl
        def collector(self) -> type:
            return GlobexCollector

    registry.register("globex", Globex())
    assert type(ExchangeFactory.create_collector(config("globex"))) is GlobexCollector


@pytest.mark.parametrize(("answer", "seen"), [(dict, "no subclass"), (5, "answered 5")])
def test_a_collector_hook_that_answers_something_else(registry: PluginRegistry, answer: Any, seen: str) -> None:
    class Globex(Acme):
        @hookimpl
        def collector(self) -> Any:
            return answer

    registry.register("globex", Globex())
    with pytest.raises(PluginError, match=seen):
        ExchangeFactory.create_collector(config("globex"))


def test_an_unknown_exchange() -> None:
    ExchangeFactory.register("zork", OwnCollector)
    with pytest.raises(ValueError, match="Exchange not supported: 'initech'") as caught:
        ExchangeFactory.create_collector(config("initech"))
    assert isinstance(caught.value, UnknownExchangeError)
    assert {"acme", "zork"} <= set(caught.value.installed)
    assert "pip install tickhive-initech" in str(caught.value)


def test_a_misspelt_own_class_is_guessed() -> None:
    ExchangeFactory.register("globex", OwnCollector)
    with pytest.raises(UnknownExchangeError, match="Did you mean 'globex'"):
        ExchangeFactory.create_collector(config("Globx"))


@pytest.mark.parametrize("plugin", [OwnCollector, Acme()])
def test_a_name_that_could_not_be_a_folder_is_not_registered(plugin: Any) -> None:
    with pytest.raises(PluginError, match="no usable name"):
        ExchangeFactory.register("../globex", plugin)


def test_settings_are_refused_by_their_path() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ExchangeFactory.create_collector(config(settings={"regoin": "x", "region": 5}))
    assert set(caught.value.problems) == {
        "exchanges.acme.region: expected text, got a whole number",
        "exchanges.acme.regoin: unknown key; did you mean 'region'?",
    }
    with pytest.raises(ConfigurationError, match=r"exchanges\.acme\.url: expected an address"):
        ExchangeFactory.create_collector(config(settings={"url": "http://x"}))


def test_a_data_type_the_venue_does_not_have() -> None:
    with pytest.raises(ConfigurationError, match="acme: ticker A-B: acme has only trades"):
        ExchangeFactory.create_collector(config(data_types=["trade", "ticker"]))


def test_a_venue_with_instruments_is_asked_too_with_symbols_for_native_names(registry: PluginRegistry) -> None:
    asked: list[tuple[str, str]] = []

    class Globex(Acme):
        @hookimpl
        def instruments(self) -> Any:
            return [Fetch("http://127.0.0.1:1/instruments")]

        @hookimpl
        def connect(self, channels: Sequence[Channel]) -> Sequence[Dial | Fetch]:
            asked.extend((channel.symbol, channel.native) for channel in channels)
            return Acme.connect(self, channels)

    registry.register("globex", Globex())
    assert ExchangeFactory.create_collector(config("globex"))
    assert asked == [("A-B", "A-B")]
    with pytest.raises(ConfigurationError, match="globex: ticker A-B: acme has only trades"):
        ExchangeFactory.create_collector(config("globex", data_types=["ticker"]))


def test_every_data_type_the_venue_does_not_have_is_named() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ExchangeFactory.create_collector(config(data_types=["quote", "trade", "ticker"]))
    assert [problem.split()[1] for problem in caught.value.problems] == ["quote", "ticker"]


def test_what_is_no_name_of_an_exchange_has_no_package() -> None:
    with pytest.raises(UnknownExchangeError, match="is this a symbol") as caught:
        ExchangeFactory.create_collector(config("BTC-USDT"))
    assert "pip install" not in str(caught.value)


def test_a_failing_connect_hook_is_the_plugins_fault(registry: PluginRegistry) -> None:
    class Globex(Acme):
        @hookimpl
        def connect(self, channels: Any) -> Any:
            raise IndexError("oops")

    registry.register("globex", Globex())
    with pytest.raises(PluginError, match="its connect hook failed: IndexError: oops"):
        ExchangeFactory.create_collector(config("globex"))


def test_a_broken_package_refuses_only_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "tickhive_umbrella-1.5.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tickhive-umbrella\nVersion: 1.5\n")
    (info / "entry_points.txt").write_text("[tickhive.exchanges]\numbrella = tickhive_umbrella_absent\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(ExchangeFactory, "registry", PluginRegistry())
    ExchangeFactory.register("acme", Acme())
    assert "umbrella" in ExchangeFactory.get_supported_exchanges()
    with pytest.raises(PluginError, match=r"'umbrella' \(tickhive-umbrella 1\.5\): importing"):
        ExchangeFactory.create_collector(config("umbrella"))
    assert "umbrella" not in ExchangeFactory.get_supported_exchanges()
    assert ExchangeFactory.create_collector(config())


def test_what_is_no_configuration() -> None:
    with pytest.raises(ConfigurationError, match="expected an ExchangeCollectorConfig, got dict"):
        ExchangeFactory.create_collector({"exchange": "acme"})  # type: ignore[arg-type]


def test_many_are_made_in_order() -> None:
    ExchangeFactory.register("globex", OwnCollector)
    collectors = ExchangeFactory.create_multiple_collectors([config("globex"), config(), config("globex", name="x")])
    assert [collector.name for collector in collectors] == ["globex:A-B", "acme:A-B", "x"]


def test_one_refused_configuration_refuses_all_and_names_every_one() -> None:
    made: list[ExchangeCollectorConfig] = []

    class Counted(OwnCollector):
        def __init__(self, config: ExchangeCollectorConfig) -> None:
            made.append(config)
            super().__init__(config)

    ExchangeFactory.register("globex", Counted)
    configs = [config("globex"), config("initech"), config(settings={"x": 1, "region": 1}), config("globex")]
    with pytest.raises(ConfigurationError) as caught:
        ExchangeFactory.create_multiple_collectors(configs)
    assert [problem.partition(": ")[0] for problem in caught.value.problems] == [
        "configs[1] (initech:A-B)",
        "configs[2] (acme:A-B)",
        "configs[2] (acme:A-B)",
    ]
    assert "Exchange not supported" in str(caught.value)
    assert made == []


def test_refused_ones_can_be_left_out_and_are_logged() -> None:
    from tickhive.testing import capture_logs

    with capture_logs() as logs:
        collectors = ExchangeFactory.create_multiple_collectors([config("initech"), config()], skip_invalid=True)
    assert [collector.name for collector in collectors] == ["acme:A-B"]
    assert [entry["log_level"] for entry in logs] == ["error"]
    assert "configs[0] (initech:A-B): Exchange not supported" in logs[0]["reason"]
