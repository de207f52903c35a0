"""``run`` and ``demo`` over real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tickhive.channels import DataType

Call = Callable[..., Any]


def test_run_prints_events_as_json(tickhive: Call, served: str, write_config: Callable[..., Path]) -> None:
    said = tickhive("run", "--config", write_config(served), "--for", "0.5s", "--json")
    assert said.code == 0
    events = said.lines()
    assert {event["symbol"] for event in events} == {"A-B", "C-D"}
    first = next(event for event in events if event["type"] == "Trade")
    assert (first["type"], first["price"], first["exchange"]) == ("Trade", "10.5", "acme")
    assert next(iter(first)) == "type"
    assert "connected" in said.err


def test_run_tells_how_it_goes(tickhive: Call, served: str, write_config: Callable[..., Path]) -> None:
    said = tickhive("--log-level", "error", "run", "--config", write_config(served), "--for", "0.5s")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Collected ")
    assert "trade " in said.out


def test_run_tells_of_frames_it_could_not_use(
    tickhive: Call, acme: Any, served: str, write_config: Callable[..., Path]
) -> None:
    config = write_config(served)
    assert "malformed" not in tickhive("--log-level", "error", "run", "--config", config, "--for", "0.3s").out
    acme.babbling = True
    said = tickhive("--log-level", "error", "run", "--config", config, "--for", "0.5s")
    assert said.code == 0
    assert re.search(r"; \d+ malformed frames?\n$", said.out)
    said = tickhive("--log-level", "error", "run", "--config", config, "--for", "0.5s", "--json")
    assert re.fullmatch(r"Received \d+ malformed frames?\n", said.err)


def test_run_logs_json_when_asked(tickhive: Call, served: str, write_config: Callable[..., Path]) -> None:
    said = tickhive("--log-json", "run", "--config", write_config(served), "--for", "0.2s")
    lines = [json.loads(line) for line in said.err.splitlines()]
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)
    assert lines


def test_an_exchange_that_cannot_be_reached(tickhive: Call, acme: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing listens on port 9 of this machine, where the exchange is by default.
    said = tickhive("run", "acme", "A-B", "--types", "trade", "--for", "2s")
    assert said.code == 1
    assert "acme cannot be reached: 127.0.0.1:9" in said.err
    assert "tickhive demo" in said.err
    assert "Nothing was received" in said.err
    assert "Traceback" not in said.err


def test_a_data_type_the_exchange_does_not_have(tickhive: Call, acme: object) -> None:
    said = tickhive("run", "acme", "A-B", "--types", "ticker", "--for", "2s")
    assert said.code == 1
    assert "acme has no ticker A-B" in said.err


def test_demo_compares_both_accounts(tickhive: Call, acme: Any) -> None:
    said = tickhive("demo", "--exchange", "acme", "--for", "0.5s", "--json")
    told = json.loads(said.out)
    assert (said.code, told["equal"], told["problems"]) == (0, True, [])
    assert told["sent"] == told["collected"]
    assert told["sent"]["trade"] == acme.log.by_type()[DataType.TRADE] > 10
    if told["stored"] is not None:
        assert told["stored"]["trade"]["rows"] == told["sent"]["trade"]


def test_demo_shows_a_summary(tickhive: Call, acme: object) -> None:
    said = tickhive("demo", "--exchange", "acme", "--for", "0.3s", "--data-dir", "here")
    assert said.code == 0
    assert "sent by the venue" in said.out
    assert "Equal:" in said.out


def test_demo_admits_a_difference(tickhive: Call, acme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickhive.cli.demo.ARRIVAL_SECONDS", 0.2)
    acme.silent = True
    said = tickhive("demo", "--exchange", "acme", "--for", "0.3s")
    assert said.code == 1
    assert "DIFFERENT: A-B trade: sent " in said.out


def test_demo_without_a_venue(tickhive: Call) -> None:
    said = tickhive("demo", "--exchange", "nowhere")
    assert said.code == 1
    assert "Exchange not supported" in said.err


RUN = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("acme_for_tests", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from tickhive.plugin.registry import default_registry
from tickhive.cli.main import main
default_registry().register("acme", module.Acme())
main(["--log-level", "warning", "run", "--config", sys.argv[2], "--json"])
"""


@pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGTERM on Windows")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_in_order(served: str, write_config: Callable[..., Path], number: signal.Signals) -> None:
    fixtures = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", RUN, str(fixtures), str(write_config(served))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert any(json.loads(line)["type"] == "Trade" for line in lines)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert {json.loads(line)["type"] for line in out.splitlines()} <= {"Trade", "SubscriptionUpdate"}
    assert "Traceback" not in err


def test_a_reader_that_goes_away_ends_the_run(served: str, write_config: Callable[..., Path]) -> None:
    fixtures = Path(__file__).with_name("conftest.py")
    command = [sys.executable, "-c", RUN, str(fixtures), str(write_config(served))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == ""
