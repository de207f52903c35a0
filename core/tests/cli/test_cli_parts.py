"""Durations, the tally and the tables made of it."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from tickhive.channels import DataType
from tickhive.cli.durations import parse_duration
from tickhive.cli.faults import faults_line
from tickhive.cli.run_command import recording, unreachable_reason
from tickhive.cli.tally import Tally
from tickhive.cli.view import collection_table, live_view, plain_line
from tickhive.events import BookDelta, BookSnapshot, Gap, MarketEvent, Ticker, Trade


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("5m", 300), ("1h", 3600), ("1h30m", 5400), ("1.5", 1.5), ("250ms", 0.25), (" 2 d ", 172_800)],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "s", "30x", "-5s", "0", "0s", "1h later", "5 minutes", "1e3s", "nan"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration"):
        parse_duration(text)


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_parts_of_a_duration_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


def trade(symbol: str, price: str, exchange: str = "acme") -> Trade:
    return Trade(exchange, symbol, None, 1, "1", "buy", Decimal(price), Decimal(1))


def events() -> list[MarketEvent]:
    return [
        trade("A-B", "10"),
        trade("A-B", "11.50"),
        BookSnapshot("acme", "A-B", None, 1, [], []),
        BookDelta("acme", "A-B", None, 1, [], []),
        Gap("acme", "A-B", None, 1, DataType.TRADE, None, None, "lost"),
        Ticker("acme", "C-D", None, 1, Decimal("7"), None, None, None, None, None, None, None, None, None),
    ]


def test_the_tally_counts_by_symbol_and_type() -> None:
    tally = Tally()
    tally.take(events())
    assert tally.by_stream() == {
        ("A-B", DataType.TRADE): 2,
        ("A-B", DataType.ORDERBOOK): 2,
        ("C-D", DataType.TICKER): 1,
    }
    assert tally.by_type() == {DataType.TRADE: 2, DataType.ORDERBOOK: 2, DataType.TICKER: 1}
    assert (tally.total, tally.gaps) == (6, 1)
    assert (tally.rows[("acme", "A-B")].price, tally.rows[("acme", "C-D")].price) == (Decimal("11.50"), Decimal(7))


def test_the_rate_is_that_of_the_last_seconds() -> None:
    now = 0.0
    tally = Tally(now=lambda: now)
    assert tally.rate() == 0
    for _ in range(10):
        now += 1.0
        tally.take([trade("A-B", "1")] * 20)
        rate = tally.rate()
    assert rate == pytest.approx(20)
    for _ in range(10):
        now += 1.0
        rate = tally.rate()
    assert rate == 0


def rendered(tally: Tally, most_rows: int = 25) -> str:
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(collection_table(tally, most_rows))
    return console.export_text()


def test_the_table() -> None:
    tally = Tally()
    tally.take(events())
    heading, *rows = [line.split() for line in rendered(tally).splitlines()]
    assert heading == ["symbol", "last", "price", "trade", "ticker", "orderbook", "gaps"]
    assert rows == [["A-B", "11.50", "2", "0", "2", "1"], ["C-D", "7", "0", "1", "0", "0"]]
    assert "trade 2" in plain_line(tally)


def test_a_table_of_hundreds_shows_the_busiest() -> None:
    tally = Tally()
    for number in range(300):
        tally.take([trade(f"S{number:03}-B", "1")] * (number + 1))
    lines = rendered(tally, most_rows=3).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["S297-B", "S298-B", "S299-B", "and"]
    assert "and 297 more" in lines[-1]


class Counting:
    """A collector that has counted."""

    def __init__(self, **statistics: int) -> None:
        self.statistics = statistics

    def get_status(self) -> dict[str, object]:
        return {"statistics": self.statistics} if self.statistics else {}


@pytest.mark.parametrize(
    ("collectors", "line"),
    [
        ([], ""),
        ([Counting(), Counting(malformed=0, frames=7)], ""),
        ([Counting(malformed=1), Counting(checksums_failed=1200)], "1 malformed frame, 1,200 failed checksums"),
        ([Counting(unknown=2, rejected=1), Counting(unknown=1)], "3 unknown frames, 1 rejected request"),
    ],
)
def test_what_could_not_be_used(collectors: list[Counting], line: str) -> None:
    assert faults_line(collectors) == line


def test_every_view_shows_what_could_not_be_used() -> None:
    tally = Tally()
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(live_view(tally, "acme", "3 malformed frames", 5), live_view(tally, "acme", "", 5))
    assert console.export_text().count("malformed") == 1
    assert plain_line(tally, "3 malformed frames").endswith("; 3 malformed frames")
    assert plain_line(tally).endswith("(nothing yet)")


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({}, None),
        ({"connections": [], "recent_errors": []}, None),
        ({"connections": [{"connects": 1, "failures": 9, "host": "h", "last_error": "x"}]}, None),
        ({"connections": [{"connects": 0, "failures": 1, "host": "h:1", "last_error": "refused"}]}, "h:1: refused"),
        ({"recent_errors": [{"what": "connect", "error": "GET h: no"}, {"what": "poll", "error": "y"}]}, "GET h: no"),
    ],
)
def test_why_an_exchange_was_not_reached(status: dict[str, object], reason: str | None) -> None:
    assert unreachable_reason(status) == reason


def test_a_run_that_received_nothing_leaves_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.jsonl"
    for expected in ("Nothing was recorded", "Nothing was recorded"):
        with recording(path, private=False):
            pass
        assert expected in capsys.readouterr().err
    assert not path.exists()
    with recording(path, private=False) as recorder:
        assert recorder is not None
        recorder.write(1, "ws", "in", "wss://ws.acme.test", 1, [b"{}"])
    assert "Recorded 1 lines into" in capsys.readouterr().err
    assert path.exists()
