"""One REST request at the simulated Binance: weighed, let in by its key and signature, and sent where its path says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from attrs import Factory, define, frozen

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive.plugin.venue import VenueLog
from tickhive_binance import venue_rest, venue_signed
from tickhive_binance.venue_account import SimulatedAccount
from tickhive_binance.venue_limits import Meter
from tickhive_binance.venue_listing import MILLISECOND, MarketName
from tickhive_binance.venue_login import Refused, check_key, check_rest
from tickhive_binance.venue_market import MarketSource
from tickhive_binance.venue_private import ListenKeys
from tickhive_binance.venue_protocol import encode

_PREFIXES: Mapping[MarketName, tuple[str, str]] = {"spot": ("api", "3"), "usdm": ("fapi", "1"), "coinm": ("dapi", "1")}
_THIRD_VERSIONS = ("account", "balance", "positionRisk")
_ROUTE = re.compile(r"/(api|fapi|dapi)/v([123])/(.+)")
_TOLD_BY_REST = {"depth": DataType.ORDERBOOK, "openInterest": DataType.OPEN_INTEREST}


@frozen
class Request:
    """What was asked, and when: real time and the market's, both ns UTC. Header names are lower case."""

    method: str
    route: str
    query_text: str
    headers: Mapping[str, str]
    body: bytes
    at: int
    market_at: int

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters of the address."""
        return dict(parse_qsl(self.query_text))


@define
class RestSide:
    """Everything a market answers by REST. ``failing`` are HTTP statuses for the next requests.

    ``log`` counts the snapshots of books and the open interest that were answered.
    """

    market: MarketName
    meter: Meter
    keys: ListenKeys
    account: SimulatedAccount
    log: VenueLog
    failing: list[int] = Factory(list)

    def answer(self, source: MarketSource, request: Request) -> Answer:
        """Answer a request, whatever is wrong with it."""
        name = request.route.partition("/v")[2].partition("/")[2]
        refusal = self.meter.use(venue_rest.weight(self.market, name, request.query), request.at)
        if refusal is not None:
            return self._error(*refusal, -1003, "Too much request weight used; the limit is counted by the minute.")
        if self.failing:
            return self._error(self.failing.pop(0), 1, -1001, "Internal error; unable to process your request.")
        try:
            return Answer(200, encode(self._result(source, request)), self._headers())
        except Refused as refused:
            return self._error(refused.status, None, refused.code, refused.message)

    def _result(self, source: MarketSource, request: Request) -> Any:
        """What is found at a path; Refused for whatever is wrong."""
        method, query, at = request.method, request.query, request.market_at
        if (method, request.route) == ("GET", "/futures/data/openInterestHist") and self.market != "spot":
            return venue_rest.open_interest_history(source, query, at)
        name = self._name(request.route)
        if name == "listenKey" and self.market != "spot" and method in ("POST", "PUT", "DELETE"):
            return self.keys.answer(method, request.headers, request.at)
        if name is None or method != "GET":
            raise Refused(-5000, f"Path {request.route}, Method {method} is invalid", 404)
        if name == "time":
            return {"serverTime": request.at // MILLISECOND}
        if venue_signed.is_signed(self.market, name):
            check_rest(request.headers, request.query_text, request.body, request.at)
            return venue_signed.answer(source, self.account, name, query, at)
        if name == "historicalTrades" and self.market != "spot":
            check_key(request.headers.get("x-mbx-apikey"))
        result = venue_rest.answer(source, name, query, at)
        if name in _TOLD_BY_REST:
            self.log.count(venue_rest.desk_of(source, query).symbol, _TOLD_BY_REST[name])
        return result

    def _name(self, route: str) -> str | None:
        """What a path asks for; None for one that this market does not have."""
        match = _ROUTE.fullmatch(route)
        if match is None:
            return None
        prefix, version = _PREFIXES[self.market]
        if self.market == "usdm" and match[3] in _THIRD_VERSIONS:
            version = "3"
        return match[3] if (match[1], match[2]) == (prefix, version) else None

    def _headers(self) -> Mapping[str, str]:
        return {"content-type": "application/json;charset=UTF-8", "x-mbx-used-weight-1m": str(self.meter.used)}

    def _error(self, status: int, retry_seconds: int | None, code: int, message: str) -> Answer:
        retry = {} if retry_seconds is None else {"retry-after": str(retry_seconds)}
        return Answer(status, encode({"code": code, "msg": message}), {**self._headers(), **retry})
