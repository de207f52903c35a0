"""A service from start to stop: a made-up exchange, a real spool, a store in memory."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from typing import get_type_hints

import pytest

from tickhive.clock import ManualClock
from tickhive.errors import CollectorError, ConfigurationError
from tickhive.exchanges import ExchangeFactory
from tickhive.recording import Recorder
from tickhive.service import CollectorFactory, DataCollectionService
from tickhive.service.status import ServiceStatus
from tickhive.spool import Spool
from tickhive.testing import capture_logs


async def until(predicate) -> None:
    async with asyncio.timeout(10):
        while not predicate():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def running(service: DataCollectionService, **options) -> asyncio.Task[int]:
    task = asyncio.ensure_future(service.run(**options))
    await until(lambda: task.done() or service.get_status()["state"] == "running")
    return task


async def test_what_was_received_is_stored_when_a_stop_has_drained(configured, acme, sink):
    service = DataCollectionService(configured({}, {}), sinks={"memory": sink})
    task = await running(service)
    assert await service.stop() == 0
    assert await task == 0
    assert acme.journal[0] == "sink opened"
    assert sorted(acme.journal[1:3]) == ["acme:S0-USDT left", "acme:S1-USDT left"]
    assert acme.journal[3:] == ["sink wrote", "sink closed"], "collectors first, then the drain, then the close"
    assert sorted(event.symbol for event in sink.events) == ["S0-USDT"] * 4 + ["S1-USDT"] * 4
    status = service.get_status()
    assert (status["state"], status["ready"]) == ("stopped", False)
    assert status["spool"]["dropped"] == 0


async def test_the_block_form_drains_too(configured, acme, sink):
    async with DataCollectionService(configured(), sinks={"memory": sink}) as service:
        assert service.ready
        acme.made[0].send(5)
    assert len(sink.events) == 9


async def test_without_sinks_there_is_no_spool(configured, tmp_path):
    async with DataCollectionService(configured()) as service:
        assert service.get_status()["spool"] is None
    assert not (tmp_path / "store").exists()


async def test_it_ends_by_itself_after_the_time_it_was_given(configured, acme):
    clock = ManualClock()
    service = DataCollectionService(configured(), clock=clock)
    task = await running(service, for_seconds=30)
    await clock.advance(29)
    assert not task.done()
    await clock.advance(2)
    assert await asyncio.wait_for(task, 10) == 0


async def test_the_status_has_exactly_its_documented_fields_and_is_json(configured, sink):
    async with DataCollectionService(configured(), sinks={"memory": sink}) as service:
        status = service.get_status()
        assert status.keys() == get_type_hints(ServiceStatus).keys()
        assert json.loads(json.dumps(status, allow_nan=False)) == status
        assert (status["live"], status["ready"], status["healthy"], status["reasons"]) == (True, True, True, [])
        assert status["manager"]["totals"]["collectors"] == 1
        assert status["sinks"]["memory"]["healthy"] is True


async def test_a_collector_whose_exchange_is_not_installed_is_reported_and_the_others_run(configured, acme, sink):
    config = configured({}, {"exchange": "nowhere"}, {"settings": {"refuse": True}})
    async with DataCollectionService(config, sinks={"memory": sink}) as service:
        status = service.get_status()
        assert status["ready"]
        assert not status["healthy"]
        names = [refused["name"] for refused in status["refused"]]
        assert names == ["nowhere:S1-USDT", "acme:S2-USDT"]
        assert status["refused"][0]["reason"].startswith("Exchange not supported: 'nowhere'. Installed: ")
        assert "pip install tickhive-nowhere" in status["refused"][0]["reason"]
        assert status["refused"][1]["reason"] == "RuntimeError: constructor failed"
        assert any("nowhere:S1-USDT was refused" in reason for reason in status["reasons"])
    assert len(sink.events) == 4


@pytest.mark.parametrize(
    ("collectors", "said"),
    [
        ([{"exchange": "nowhere"}], ["a collector was refused"]),
        ([{"exchange": "nowhere"}, {}], ["a collector was refused; the others run"]),
    ],
)
async def test_others_are_said_to_run_only_where_there_are_some(configured, collectors, said):
    service = DataCollectionService(configured(*collectors))
    with capture_logs() as lines, contextlib.suppress(ConfigurationError):
        await service.start()
    await service.stop()
    assert [line["event"] for line in lines if "refused" in line["event"]] == said


async def test_when_no_collector_is_left_nothing_is_started(configured, tmp_path, sink):
    service = DataCollectionService(configured({"exchange": "nowhere"}), sinks={"memory": sink})
    with pytest.raises(ConfigurationError, match="Exchange not supported"):
        await service.run()
    assert service.get_status()["state"] == "failed"
    assert not (tmp_path / "store").exists()
    assert await service.stop() == 0


async def test_when_no_collector_can_ever_run_it_says_so_and_takes_everything_back(configured, acme, sink):
    config = configured({"settings": {"connect": "hopeless"}})
    service = DataCollectionService(config, sinks={"memory": sink})
    with pytest.raises(CollectorError, match=r"No collector can run as configured: .*none of them exists"):
        await asyncio.wait_for(service.run(), 10)
    assert acme.journal[-1] == "sink closed"
    assert service._storage.spool.status()["reason"] == "spool is not open"


async def test_one_hopeless_collector_does_not_end_the_service(configured):
    async with DataCollectionService(configured({"settings": {"connect": "hopeless"}}, {})) as service:
        status = service.get_status()
        assert status["ready"]
        assert status["manager"]["failed_collectors"] == ["acme:S0-USDT"]


async def test_an_exchange_that_cannot_be_reached_ends_nothing(configured):
    service = DataCollectionService(configured({"settings": {"connect": "unreachable"}}))
    task = await running(service)
    status = service.get_status()
    assert not status["ready"]
    assert status["live"]
    assert any("no route to host" in reason for reason in status["reasons"])
    await service.stop()
    assert await task == 0


async def test_a_sink_that_cannot_be_made_is_refused_before_anything_starts(configured, acme, tmp_path):
    config = configured(sinks=[{"type": "no-such"}, {"type": "nor-this", "name": "b"}])
    with pytest.raises(ConfigurationError) as refused:
        await DataCollectionService(config).run()
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["sinks[0].type", "sinks[1].type"]
    assert acme.made == []


async def test_a_store_that_is_down_costs_nothing_but_time(configured, acme, sink, tmp_path):
    sink.failing = True
    config = configured(service={"drain_seconds": 0.2})
    service = DataCollectionService(config, sinks={"memory": sink})
    task = await running(service)
    assert service.storage_faults() == [reason for reason in service.get_status()["reasons"] if "sink" in reason]
    await service.stop()
    assert await task == 0, "what waits in the spool is not lost"
    assert sink.events == []
    sink.failing = False
    acme.journal.clear()
    async with DataCollectionService(configured(), sinks={"memory": sink}):
        pass
    assert len(sink.events) == 8


async def test_a_second_stop_forces_and_what_is_committed_stays(configured, acme, sink, tmp_path):
    service = DataCollectionService(configured({"settings": {"disconnect": "hangs"}}), sinks={"memory": sink})
    task = await running(service)
    await service._storage.spool.flush()
    first = asyncio.ensure_future(service.stop())
    await until(lambda: acme.journal[-1:] == ["acme:S0-USDT left"])
    assert not task.done()
    assert await service.stop(force=True) == 1
    assert await first == 1
    assert await task == 1
    spool = Spool(tmp_path / "store" / "spool")
    await spool.open()
    assert spool.status()["sinks"]["memory"]["lag_events"] == 3 - len(sink.events)
    await spool.close()


@pytest.mark.parametrize("turns", range(1, 40, 3))
async def test_stopping_at_any_moment_of_the_start_ends_in_order(configured, acme, sink, turns):
    service = DataCollectionService(configured(), sinks={"memory": sink})
    task = asyncio.ensure_future(service.run())
    for _ in range(turns):
        await asyncio.sleep(0.001 * (turns > 20))
    assert await service.stop() == 0
    assert await task == 0
    assert len(sink.events) == sum(each.number for each in acme.made)
    assert service._storage is None or not service._storage.spool.status()["healthy"]


async def test_stopping_a_start_of_ones_own_ends_in_order(configured, sink):
    service = DataCollectionService(configured(), sinks={"memory": sink})
    starting = asyncio.ensure_future(service.start())
    await asyncio.sleep(0)
    assert await service.stop() == 0
    await starting
    assert service.get_status()["state"] == "stopped"


async def test_cancelling_run_drains_first(configured, sink):
    service = DataCollectionService(configured(), sinks={"memory": sink})
    task = await running(service)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(sink.events) == 4


async def test_stop_before_and_twice_after_is_harmless_and_a_service_runs_once(configured):
    unused = DataCollectionService(configured())
    assert await unused.stop() == 0
    service = DataCollectionService(configured())
    task = await running(service)
    with pytest.raises(CollectorError, match="runs already"):
        await service.run()
    assert await asyncio.gather(service.stop(), service.stop()) == [0, 0]
    await task
    assert await service.stop() == 0
    with pytest.raises(CollectorError, match="is stopped; make another one"):
        await service.start()


async def test_reading_pauses_while_the_spool_fills_up(configured, acme, sink):
    config = configured({}, {}, spool={"buffer_events": 8, "commit_seconds": 0.01})
    async with DataCollectionService(config, sinks={"memory": sink}) as service:
        await service._storage.spool.flush()
        acme.made[0].send(6)
        assert acme.made[1].paused[-1:] == [True]
        await until(lambda: acme.made[1].paused[-1] is False)
        assert acme.made[0].paused == acme.made[1].paused


async def test_settings_of_the_exchange_reach_each_collector_below_its_own(configured, acme):
    config = configured({}, {"settings": {"depth": 5}}, exchanges={"acme": {"depth": 1, "url": "ws://x"}})
    made, refused = CollectorFactory(config).create_all()
    assert refused == []
    assert [dict(each.config.settings) for each in made] == [
        {"depth": 1, "url": "ws://x"},
        {"depth": 5, "url": "ws://x"},
    ]


async def test_a_blocked_plugin_is_refused_by_name(configured):
    from tickhive.plugin.registry import PluginRegistry

    class Plugin:
        pass

    ExchangeFactory.registry = PluginRegistry()
    try:
        import types

        from tickhive.plugin.hookspecs import hookimpl

        module = types.ModuleType("zenith")
        module.connect = hookimpl(lambda channels: ())
        module.parse = hookimpl(lambda frame: ())
        ExchangeFactory.register("zenith", module)
        config = configured({}, {"exchange": "zenith"}, plugins={"block": ["zenith"]})
        _, refused = CollectorFactory(config).create_all()
        assert [each.exchange for each in refused] == ["zenith"]
        assert "blocked by a setting" in refused[0].reason
    finally:
        ExchangeFactory.registry = None


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself a signal it survives there")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_the_handlers_come_back(configured, sink, number):
    before = signal.getsignal(number)
    service = DataCollectionService(configured(), sinks={"memory": sink})
    task = await running(service, install_signals=True)
    os.kill(os.getpid(), number)
    assert await asyncio.wait_for(task, 10) == 0
    assert len(sink.events) == 4
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself a signal it survives there")
async def test_a_second_signal_forces(configured, acme, sink):
    service = DataCollectionService(configured({"settings": {"disconnect": "hangs"}}), sinks={"memory": sink})
    task = await running(service, install_signals=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await until(lambda: acme.journal[-1:] == ["acme:S0-USDT left"])
    os.kill(os.getpid(), signal.SIGINT)
    assert await asyncio.wait_for(task, 10) == 1


async def test_signals_work_where_the_loop_cannot_take_them(configured, sink, monkeypatch):
    loop = asyncio.get_running_loop()

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(loop, "add_signal_handler", refuse)
    before = signal.getsignal(signal.SIGINT)
    service = DataCollectionService(configured(), sinks={"memory": sink})
    task = await running(service, install_signals=True)
    signal.raise_signal(signal.SIGINT)
    assert await asyncio.wait_for(task, 10) == 0
    assert signal.getsignal(signal.SIGINT) is before


async def test_who_waits_for_the_end_is_released_though_a_recording_never_ends(configured, tmp_path, monkeypatch):
    closing, release = threading.Event(), threading.Event()
    close = Recorder.close

    def stuck(recorder):
        closing.set()
        release.wait(20)
        close(recorder)

    monkeypatch.setattr(Recorder, "close", stuck)
    service = DataCollectionService(configured(service={"record": str(tmp_path / "recorded")}))
    task = await running(service)
    try:
        service.ask_to_stop()
        await until(closing.is_set)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            await service.stop()
        assert service.get_status()["state"] == "stopped"
    finally:
        release.set()
