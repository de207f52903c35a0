"""What the simulated OKX tells about accounts: private channels with their snapshots, and the signed REST paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from tickhive.channels import DataType
from tickhive.plugin.contract import Answer
from tickhive_okx.venue_account import Row, SimulatedAccount, brief
from tickhive_okx.venue_channels import COUNTED, Frame, Key
from tickhive_okx.venue_listing import MILLISECOND
from tickhive_okx.venue_login import Unknown, request_login, socket_login
from tickhive_okx.venue_market import encode
from tickhive_okx.venue_protocol import Client
from tickhive_okx.venue_rest import Refused, bound_in, failure, found, number_in

_EVER = 2**63


def _fits(row: Row, arg: Mapping[str, Any]) -> bool:
    kind, family = arg.get("instType", "ANY"), arg.get("instFamily")
    return (
        kind in ("ANY", row.get("instType", kind))
        and (not family or row["instId"].startswith(f"{family}-"))
        and all(not arg.get(name) or row.get(name) == arg[name] for name in ("instId", "ccy"))
    )


class Accounts:
    """All accounts; ``symbol`` gives an instrument's normalised name, for the log."""

    def __init__(self, accounts: Sequence[SimulatedAccount], symbol: Callable[[str], str], *, demo: bool) -> None:
        self._accounts = accounts
        self._symbol = symbol
        self._demo = demo

    def login(self, client: Client, request: object, request_id: str | None, at: int) -> str:
        """Log a connection in, or not; answers what it is told."""
        if client.account is not None:
            message = "The WebSocket endpoint does not allow multiple or repeated logins."
            return client.error("60031", message, request_id)
        try:
            client.account = socket_login(self._accounts, request, at)
        except Unknown as unknown:
            return client.error(unknown.code, unknown.message, request_id)
        return client.event("login", request_id, code="0", msg="")

    # Channels

    def counted(self, client: Client, key: Key, clients: Iterable[Client]) -> tuple[str | None, bool]:
        """What a subscriber is told of the connections that have a channel, and whether his is not one too many."""
        account, channel = client.account, key[0]
        if account is None or channel not in COUNTED:
            return None, True
        having = [each for each in clients if each.account is account and any(name == channel for name, _ in each.keys)]
        allowed = len(having) <= account.connections
        event = "channel-conn-count" if allowed else "channel-conn-count-error"
        count = min(len(having), account.connections)
        return client.event(event, None, channel=channel, connCount=str(count)), allowed

    def opening(self, client: Client, arg: Mapping[str, Any], at: int) -> Iterator[Frame]:
        """What a subscriber gets first: balances and positions in pages; of orders and fills nothing."""
        channel, account = arg["channel"], client.account
        assert account is not None  # a private path is judged to be logged in
        if channel == "balance_and_position":
            balances = [{name: row[name] for name in ("ccy", "cashBal", "uTime")} for row in account.balances.values()]
            positions = [brief(row) for row in account.positions.values()]
            row = {"pTime": str(at // MILLISECOND), "eventType": "snapshot", "balData": balances, "posData": positions}
            yield self._frame(account, arg, [row | {"trades": []}], at)
            return
        rows = {"account": account.balances, "positions": account.positions}.get(channel)
        if rows is None:
            return
        chosen = [row for row in rows.values() if _fits(row, arg)]
        pages = [chosen[start : start + account.page] for start in range(0, len(chosen), account.page)] or [[]]
        for number, page in enumerate(pages, 1):
            about = {"eventType": "snapshot", "curPage": number, "lastPage": number == len(pages)}
            yield self._frame(account, arg, page, at, **about)

    def told(self, account: SimulatedAccount, arg: Mapping[str, Any], rows: Sequence[Row], at: int) -> Iterator[Frame]:
        """A change as one subscriber is told it, if it concerns him."""
        rows = [row for row in rows if _fits(row, arg)]
        about = {"eventType": "event_update"} if arg["channel"] in ("account", "positions") else {}
        if rows:
            yield self._frame(account, arg, rows, at, **about)

    def _frame(
        self, account: SimulatedAccount, arg: Mapping[str, Any], rows: Sequence[Row], at: int, **about: Any
    ) -> Frame:
        channel = arg["channel"]
        data: Sequence[Row] = rows
        if channel == "account":
            data = [{"uTime": str(at // MILLISECOND), "totalEq": "", "isoEq": "", "adjEq": "", "details": rows}]
        named = {name: value for name, value in arg.items() if name != "extraParams"} | {"uid": account.uid}
        text = encode({"arg": named} | about | {"data": data}).decode()
        return Frame(text, tuple((each, 1) for row in rows for each in self._counted(channel, row)))

    def _counted(self, channel: str, row: Row) -> Iterable[tuple[str, DataType]]:
        if channel == "account":
            return [(row["ccy"], DataType.BALANCE)]
        if channel == "balance_and_position":
            balances = [(each["ccy"], DataType.BALANCE) for each in row["balData"]]
            return balances + [(self._symbol(each["instId"]), DataType.POSITION) for each in row["posData"]]
        kinds = {"positions": DataType.POSITION, "orders": DataType.ORDER, "fills": DataType.FILL}
        return [(self._symbol(row["instId"]), kinds[channel])]

    # REST

    def offers(self, path: str) -> bool:
        """Whether a REST path is about an account."""
        return path.partition("?")[0] in _ROUTES

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, at: int) -> Answer:
        """Answer a signed REST request."""
        route, _, query = path.partition("?")
        try:
            account = request_login(self._accounts, method, path, headers, body, at, demo=self._demo)
            return found(_ROUTES[route](account, dict(parse_qsl(query))))
        except Unknown as unknown:
            return failure(unknown.code, unknown.message, 401)
        except Refused as refused:
            return failure(refused.code, refused.message)


def _balance(account: SimulatedAccount, query: Mapping[str, str]) -> Iterable[Any]:
    wanted = [each for each in query.get("ccy", "").split(",") if each]
    details = [row for ccy, row in account.balances.items() if not wanted or ccy in wanted]
    return [{"totalEq": "", "isoEq": "", "adjEq": "", "details": details}]


def _positions(account: SimulatedAccount, query: Mapping[str, str]) -> Iterable[Any]:
    return [row for row in account.positions.values() if _fits(row, query)]


def _orders_pending(account: SimulatedAccount, query: Mapping[str, str]) -> Iterable[Any]:
    return _page(account.orders.values(), query, "ordId")


def _order(account: SimulatedAccount, query: Mapping[str, str]) -> Iterable[Any]:
    row = account.orders.get(query.get("ordId", "")) or account.ended.get(query.get("ordId", ""))
    if row is None or row["instId"] != query.get("instId"):
        raise Refused("51603", "Order does not exist")
    return [row]


def _fills(account: SimulatedAccount, query: Mapping[str, str]) -> Iterable[Any]:
    begin, end = bound_in(query, "begin") or 0, bound_in(query, "end") or _EVER
    return _page((row for row in account.fills if begin <= int(row["ts"]) <= end), query, "billId")


def _page(rows: Iterable[Row], query: Mapping[str, str], id: str) -> list[Row]:
    """Newest first, within ``after`` (older than) and ``before`` (newer than)."""
    after, before = bound_in(query, "after") or _EVER, bound_in(query, "before") or 0
    chosen = [row for row in rows if _fits(row, query) and before < int(row[id]) < after]
    return chosen[::-1][: number_in(query, "limit", 100, 100)]


_ROUTES: Mapping[str, Callable[[SimulatedAccount, Mapping[str, str]], Iterable[Any]]] = {
    "/api/v5/account/balance": _balance,
    "/api/v5/account/positions": _positions,
    "/api/v5/trade/orders-pending": _orders_pending,
    "/api/v5/trade/order": _order,
    "/api/v5/trade/fills": _fills,
}
