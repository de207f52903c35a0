"""What Binance's errors lead to: asked again, waited, given up; by REST, on sockets, and in a running collector."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from attrs import define, field

from tickhive import ExchangeCollectorConfig, ExchangeFactory, Gap, Trade
from tickhive.events import MarketEvent
from tickhive.plugin import Answer, Rejected, VenueOptions
from tickhive.simulation import VenueServer
from tickhive_binance.venue import BinanceVenue

CODES = {
    "retry": (-1000, -1001, -1006, -1007, -1008, -1016, -1021, -1125),
    "rate": (-1003, -1015, -1034),
    "credentials": (-1002, -1022, -2014, -2015),
    "symbol": (-1121,),
    "request": (-1100, -1102, -1120, -1130, -4021, -4166, -9999),
}
LISTED = [(code, kind) for kind, codes in CODES.items() for code in codes]
ELIGIBILITY = "Service unavailable from a restricted location according to 'b. Eligibility'."


def judged(view: Any, status: int, body: bytes) -> Rejected | None:
    found = view.plugin.refused(Answer(status, body))
    assert found is None or isinstance(found, Rejected)
    return found


def told(code: int, message: str = "No.") -> bytes:
    return json.dumps({"code": code, "msg": message}).encode()


@pytest.mark.parametrize(("code", "kind"), LISTED)
def test_a_code_means_the_same_wherever_it_is_told(view: Any, code: int, kind: str) -> None:
    channel = view.channel("orderbook")
    (event,) = view.read(view.settings.rest(f"depth?symbol={channel.native}"), told(code), channel)
    assert (event.kind, event.channels) == (kind, (channel,))
    assert event.reason.startswith(f"{code} No.")
    assert ("clock" in event.reason) == (code == -1021)
    assert judged(view, 400, told(code)) == Rejected(event.reason, event.kind)
    (event,) = view.parse({"error": {"code": code, "msg": "No."}, "id": 1})
    assert (event.kind, event.id) == (kind, "1")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (500, told(-1000), "retry"),
        (503, told(-1008), "retry"),
        (503, told(-9999), None),
        (502, told(-1), None),
        (504, told(1), None),
        (502, b"<html>", None),
        (400, told(-9999), "request"),
        (403, told(-2015), "credentials"),
        (429, told(-1003), None),
        (418, told(-1003), None),
        (429, told(-9999), None),
        (451, told(0, ELIGIBILITY), None),
        (404, b"", None),
    ],
)
def test_what_an_http_error_means_where_the_code_does_not_say_is_left_to_its_status(
    view: Any, status: int, body: bytes, kind: str | None
) -> None:
    verdict = judged(view, status, body)
    assert (None if verdict is None else verdict.kind) == kind


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (503, -9999, "retry"),
        (500, -1, "retry"),
        (503, -2015, "credentials"),
        (429, -9999, "rate"),
        (418, -9999, "rate"),
        (400, -9999, "request"),
        (401, -2015, "credentials"),
    ],
)
def test_the_websocket_api_tells_a_status_too(make_view: Any, status: int, code: int, kind: str) -> None:
    (event,) = make_view("binance").parse({"id": "7", "status": status, "error": {"code": code, "msg": "No."}})
    assert (event.kind, event.id) == (kind, "7")


@define(eq=False)
class Faulty:
    """The answers that stand in for the next ones of a path; ``asked`` counts the requests for it."""

    path: str
    answers: list[Answer]
    asked: int = field(default=0)


class FaultyVenue(BinanceVenue):
    """A spot market whose server fails now and then."""

    def __init__(self, faulty: Faulty) -> None:
        super().__init__("spot", VenueOptions(seed=3, symbols=["BTC-USDT"], speed=5))
        self._faulty = faulty

    def request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        faulty = self._faulty
        if faulty.path in path:
            faulty.asked += 1
            if faulty.answers:
                return faulty.answers.pop(0)
        return super().request(method, path, headers, body, at)


def collector(server: VenueServer) -> Any:
    config = ExchangeCollectorConfig(
        exchange="binance",
        symbols=["BTC-USDT"],
        data_types=["trade"],
        settings={"url": server.url, "rest_url": server.rest_url},
    )
    return ExchangeFactory.create_collector(config)


@pytest.mark.parametrize(
    ("status", "body", "filled", "asked"),
    [
        (503, told(-9999), "whole", 2),
        (502, told(-1), "whole", 2),
        (503, told(-1008), "whole", 2),
        (400, told(-1016), "whole", 2),
        (400, told(-9999), "none", 1),
        (451, told(0, ELIGIBILITY), "none", 1),
    ],
)
async def test_a_refill_is_asked_for_again_when_the_server_failed_for_a_moment(
    status: int, body: bytes, filled: str, asked: int
) -> None:
    faulty = Faulty("historicalTrades", [Answer(status, body)])
    venue = FaultyVenue(faulty)
    seen: list[MarketEvent] = []
    async with VenueServer(venue) as server, asyncio.timeout(20):
        collecting = collector(server)
        collecting.add_data_callback(None, seen.append)
        await collecting.start()
        try:
            while sum(isinstance(event, Trade) for event in seen) < 40:  # noqa: ASYNC110  # it has no event of its own
                await asyncio.sleep(0.02)
            venue.lost["btcusdt@trade"] = 3
            while not any(isinstance(event, Gap) for event in seen):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        finally:
            await collecting.stop()
    (gap,) = [event for event in seen if isinstance(event, Gap)]
    assert (gap.filled, faulty.asked) == (filled, asked)
    assert ("restricted location" in gap.cause) == (status == 451)
