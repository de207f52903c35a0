"""Every error code of OKX's guide, over REST with any status, and on sockets; and a clock that is off, end to end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tickhive.plugin import Answer, Rejected
from tickhive_okx import plugin
from tickhive_okx.venue import OKXVenue

# Section "Error Code" of the API guide, read in August 2026, by what can be done.
REST = {
    "retry": "50001 50004 50013 50026 50102 50112",
    "rate": "50011 50061",
    "credentials": "50100 50101 50103 50104 50105 50106 50107 50110 50111 50113 50114 50119 50120",
    "symbol": "51001",
    "request": "51000",
}
SOCKET = {
    "retry": "63999 64007 60004 60006",
    "rate": "60014 60023",
    "credentials": "60005 60007 60009 60024 60026 60032",
    "symbol": "60018",
    "request": "60008 60011 60012 60013 60019 60027 60028 60033 64000 64001 64002 64003 64004",
}


def each(table: dict[str, str]) -> list[tuple[str, str]]:
    return [(code, kind) for kind, codes in table.items() for code in codes.split()]


def error(code: str) -> bytes:
    return json.dumps({"code": code, "msg": "No.", "data": []}).encode()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429])
@pytest.mark.parametrize(("code", "kind"), each(REST))
def test_a_code_means_the_same_with_every_status(view: Any, code: str, kind: str, status: int) -> None:
    verdict = plugin.refused(Answer(status, error(code)))
    assert isinstance(verdict, Rejected)
    assert verdict.kind == kind
    assert verdict.reason.startswith(f"{code} No.")
    assert ("clock" in verdict.reason) is (code in ("50102", "50112"))
    (read,) = view.read("https://x/api/v5/market/books?instId=BTC-USDT", error(code))
    assert (read.kind, read.reason) == (verdict.kind, verdict.reason)


@pytest.mark.parametrize(("code", "kind"), each(SOCKET))
def test_a_code_on_a_socket(view: Any, code: str, kind: str) -> None:
    (event,) = view.parse({"event": "error", "code": code, "msg": "No.", "connId": "a"})
    assert (type(event), event.kind) == (Rejected, kind)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, error("50113")),
        (503, error("50001")),
        (401, error("99999")),
        (429, error("99999")),
        (403, b"<html>Forbidden</html>"),
        (401, b""),
        (400, b"[]"),
        (400, b'{"code":[]}'),
        (400, b"[" * 100_000),
    ],
)
def test_what_says_nothing_is_judged_by_its_status(status: int, body: bytes) -> None:
    assert plugin.refused(Answer(status, body)) is None


@pytest.mark.parametrize(
    ("planned", "said"),
    [
        (401, (401, "50113")),
        (429, (429, "50011")),
        (503, (503, "50001")),
        ((401, "50102"), (401, "50102")),
    ],
)
def test_the_simulated_okx_refuses_as_it_is_told(planned: Any, said: tuple[int, str]) -> None:
    venue = OKXVenue()
    venue.faults.rest.append(planned)
    answer = venue.request("GET", "/api/v5/public/time", {}, b"", 1)
    assert (answer.status, json.loads(answer.body)["code"]) == said
