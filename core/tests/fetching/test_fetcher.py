"""A Fetch is carried out under the venue's limits, tried again where that helps, and its failure says what happened."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from attrs import evolve

from tickhive.budget import Budget
from tickhive.clock import ManualClock
from tickhive.errors import FetchError
from tickhive.fetching import Fetcher
from tickhive.plugin.contract import Answer, Credentials, Fetch, Limit, Rejected

Reply = bytes | None | Callable[[asyncio.StreamWriter], Any]


def reply(status: int, body: bytes = b"", **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Venue:
    """An HTTP server on loopback that answers what it is told, in order, the last for ever; None hangs up."""

    def __init__(self) -> None:
        self.replies: list[Reply] = [reply(200, b"ok")]
        self.requests: list[bytes] = []
        self.url = ""

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = next(
                    (int(line[15:]) for line in head.lower().split(b"\r\n") if line[:15] == b"content-length:"), 0
                )
                self.requests.append(head + await reader.readexactly(size))
                answer = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
                if answer is None:
                    break
                if callable(answer):
                    await answer(writer)
                else:
                    writer.write(answer)
                    await writer.drain()
        writer.close()


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    served = Venue()
    server = await asyncio.start_server(served.run, "127.0.0.1", 0)
    served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield served
    server.close()


@contextlib.asynccontextmanager
async def fetching(*limits: Limit, **options: Any) -> AsyncIterator[tuple[Fetcher, ManualClock, Budget]]:
    clock = ManualClock()
    budget = Budget(limits, clock, random.Random(1))
    fetcher = Fetcher(budget, clock, rng=random.Random(1), **options)
    try:
        yield fetcher, clock, budget
    finally:
        await fetcher.close()


async def answer(fetcher: Fetcher, clock: ManualClock, fetch: Fetch) -> Any:
    task = asyncio.create_task(fetcher.fetch(fetch))
    await clock.run_until(task.done, io_seconds=0.003)
    return await task


async def test_an_answer_is_whole_and_its_header_names_are_lower_case(venue: Venue) -> None:
    venue.replies = [reply(200, gzip.compress(b'{"a": 1}'), Content_Encoding="gzip", X_Used_Weight="12")]
    fetch = Fetch(f"{venue.url}/v1/x?a=b%20c", "POST", {"X-Own": "1", "user-agent": "mine"}, b'{"q":1}')
    async with fetching() as (fetcher, clock, _):
        got = await answer(fetcher, clock, fetch)
        assert (got.status, got.body) == (200, b'{"a": 1}')
        assert got.headers["x-used-weight"] == "12"
        assert fetcher.status() == {"requests": 1, "retries": 0, "failures": 0}
    [request] = venue.requests
    assert request.startswith(b"POST /v1/x?a=b%20c HTTP/1.1\r\n")
    assert b"X-Own: 1" in request
    assert request.count(b"mine") == 1
    assert b"tickhive" not in request
    assert request.endswith(b'\r\n\r\n{"q":1}')


@pytest.mark.parametrize(
    "failing",
    [reply(500), reply(503, b"busy"), None, b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"],
    ids=["500", "503", "hang-up", "nonsense", "short"],
)
async def test_what_may_pass_is_tried_again(venue: Venue, failing: Reply) -> None:
    async def fail(writer: asyncio.StreamWriter) -> None:
        assert isinstance(failing, bytes)
        writer.write(failing)
        writer.close()

    venue.replies = [failing if failing is None else fail, reply(200, b"second")]
    async with fetching() as (fetcher, clock, _):
        assert (await answer(fetcher, clock, Fetch(venue.url + "/x"))).body == b"second"
        assert fetcher.status() == {"requests": 2, "retries": 1, "failures": 0}


async def test_trying_again_ends(venue: Venue) -> None:
    venue.replies = [reply(502, b"bad gateway")]
    async with fetching(attempts=3) as (fetcher, clock, _):
        with pytest.raises(FetchError, match="answered 502: bad gateway") as caught:
            await answer(fetcher, clock, Fetch(venue.url + "/x"))
        assert (caught.value.status, caught.value.retryable) == (502, True)
        assert fetcher.status() == {"requests": 3, "retries": 2, "failures": 1}


async def test_a_refusal_is_final_and_quotes_a_little_without_secrets(venue: Venue) -> None:
    venue.replies = [reply(400, b'{"code":-1100,"token":"abcd-efgh","msg":"' + b"long " * 2000 + b'"}')]
    async with fetching() as (fetcher, clock, _):
        with pytest.raises(FetchError) as caught:
            await answer(fetcher, clock, Fetch(venue.url + "/v1/x?apiKey=hushhush"))
    told = str(caught.value)
    assert (caught.value.status, caught.value.retryable) == (400, False)
    assert "/v1/x answered 400" in told
    assert '"code":-1100' in told
    assert "abcd-efgh" not in told
    assert "hush" not in told
    assert len(told) < 300
    assert len(venue.requests) == 1


@pytest.mark.parametrize("status", [429, 418])
async def test_a_venue_that_asks_to_wait_is_left_alone_by_everybody(venue: Venue, status: int) -> None:
    venue.replies = [reply(status, Retry_After="30"), reply(200)]
    async with fetching(Limit("weight", 100, 60.0)) as (fetcher, clock, budget):
        fetch = Fetch(venue.url, costs={"weight": 5.0})
        began = clock.time_ns()
        asked = asyncio.create_task(fetcher.fetch(fetch))
        async with asyncio.timeout(20):
            while budget.status()["weight"]["penalised_seconds"] < 29:  # noqa: ASYNC110 - a budget has no event to wait for
                await asyncio.sleep(0.005)
        other = asyncio.create_task(budget.acquire("weight"))
        await clock.advance(29)
        assert not other.done()
        assert len(venue.requests) == 1
        await clock.run_until(asked.done, io_seconds=0.003)
        assert (await asked).status == 200
        await other
        assert clock.time_ns() - began >= 30e9
        assert budget.status()["weight"]["acquired"] == 11


async def test_a_wait_beyond_patience_is_the_callers(venue: Venue) -> None:
    venue.replies = [reply(418, Retry_After="7200")]
    async with fetching() as (fetcher, clock, _):
        with pytest.raises(FetchError) as caught:
            await answer(fetcher, clock, Fetch(venue.url))
    assert (caught.value.retryable, caught.value.retry_after) == (True, 7200.0)
    assert len(venue.requests) == 1


async def test_every_attempt_is_signed_afresh_and_paid_for(venue: Venue) -> None:
    venue.replies = [reply(500), reply(500), reply(200)]
    count = 0

    def sign(fetch: Fetch) -> Fetch:
        nonlocal count
        count += 1
        return evolve(fetch, headers={**fetch.headers, "X-Sign": f"signature-{count}"})

    async with fetching(Limit("weight", 100, 60.0), Limit("orders", 9, 1.0), sign=sign) as (fetcher, clock, budget):
        await answer(fetcher, clock, Fetch(venue.url, costs={"weight": 2.0, "orders": 1.0}))
        assert budget.status()["weight"]["acquired"] == 6
        assert budget.status()["orders"]["acquired"] == 3
    assert [f"signature-{n}".encode() in request for n, request in enumerate(venue.requests, 1)] == [True] * 3


async def test_redirects_are_not_followed(venue: Venue) -> None:
    venue.replies = [reply(302, Location="http://elsewhere.invalid/")]
    async with fetching() as (fetcher, clock, _):
        with pytest.raises(FetchError, match="answered 302") as caught:
            await answer(fetcher, clock, Fetch(venue.url))
    assert not caught.value.retryable


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_has_a_bound(venue: Venue, packed: bool) -> None:
    body = b"x" * 100_000
    venue.replies = [reply(200, gzip.compress(body), Content_Encoding="gzip") if packed else reply(200, body)]
    async with fetching(max_body=99_999) as (fetcher, clock, _):
        with pytest.raises(FetchError, match="more than 99999 bytes") as caught:
            await answer(fetcher, clock, Fetch(venue.url))
    assert not caught.value.retryable


async def test_a_venue_that_does_not_answer(venue: Venue) -> None:
    over = asyncio.Event()

    async def wait(writer: asyncio.StreamWriter) -> None:
        await over.wait()

    venue.replies = [wait]
    async with fetching(timeout_seconds=0.05, attempts=2) as (fetcher, clock, _):
        with pytest.raises(FetchError, match=r"did not answer within 0.05 s") as caught:
            await answer(fetcher, clock, Fetch(venue.url))
        assert caught.value.retryable
        assert fetcher.requests == 2
    over.set()


@pytest.mark.parametrize(
    ("url", "words", "retryable"),
    [
        ("http://127.0.0.1:{port}/p?secret=hushhush", "cannot be reached", True),
        ("https://no-such-host.invalid/p?secret=hushhush", "name of the host was not found", True),
        ("ftp://host/p?secret=hushhush", "must begin with http", False),
        ("/only/a/path?secret=hushhush", "must begin with http", False),
    ],
)
async def test_a_venue_that_is_not_there(unused_tcp_port: int, url: str, words: str, retryable: bool) -> None:
    async with fetching(attempts=1, proxy="") as (fetcher, clock, _):
        with pytest.raises(FetchError, match=words) as caught:
            await answer(fetcher, clock, Fetch(url.format(port=unused_tcp_port)))
        assert caught.value.retryable is retryable
        assert "hush" not in str(caught.value)
        assert caught.value.__cause__ is None


async def test_headers_that_cannot_be_sent_are_refused_once(venue: Venue) -> None:
    async with fetching() as (fetcher, clock, _):
        with pytest.raises(FetchError, match="not valid HTTP") as caught:
            await answer(fetcher, clock, Fetch(venue.url, headers={"X-Sign": "hush\r\nhush"}))
        assert not caught.value.retryable
        assert "hush" not in str(caught.value)


async def test_with_credentials_an_error_names_the_host_only_and_the_log_nothing(
    venue: Venue, caplog: pytest.LogCaptureFixture
) -> None:
    venue.replies = [reply(403, b"key sesame-open-key is unknown")]
    credentials = Credentials("main", key="sesame-open-key", secret="swordfish1")
    with caplog.at_level(logging.DEBUG):
        async with fetching(credentials=credentials) as (fetcher, clock, _):
            with pytest.raises(FetchError) as caught:
                await answer(fetcher, clock, Fetch(f"{venue.url}/private/listen-me?signature=hushhush"))
    told = str(caught.value)
    assert venue.url.removeprefix("http://") in told
    assert "answered 403: key *** is unknown" in told
    assert "private" not in told
    assert "hushhush" not in caplog.text
    assert "sesame" not in caplog.text + told


async def test_a_closed_fetcher_says_so(venue: Venue) -> None:
    async with fetching() as (fetcher, clock, _):
        await answer(fetcher, clock, Fetch(venue.url))
    with pytest.raises(FetchError, match="fetcher is closed"):
        await fetcher.fetch(Fetch(venue.url))


async def test_connections_are_kept_and_shared(venue: Venue) -> None:
    async with fetching() as (fetcher, _, _):
        answers = await asyncio.gather(*(fetcher.fetch(Fetch(f"{venue.url}/{n}")) for n in range(5)))
        assert [each.status for each in answers] == [200] * 5
        assert len(fetcher._pools) == 1


def test_no_attempts_make_no_sense() -> None:
    clock = ManualClock()
    with pytest.raises(ValueError, match="attempts"):
        Fetcher(Budget((), clock), clock, attempts=0)


@pytest.mark.parametrize(
    ("kind", "attempts", "unauthorised"),
    [("credentials", 1, True), ("request", 1, False), ("retry", 3, False), (None, 1, False)],
)
async def test_the_plugin_says_what_an_error_means(venue: Venue, kind: Any, attempts: int, unauthorised: bool) -> None:
    venue.replies = [reply(400, b'{"code":-1022}')]
    seen = []

    def judge(fetch: Fetch, answer: Answer) -> Rejected | None:
        seen.append((fetch.url, answer.status, answer.body))
        return Rejected("the signature is wrong", kind) if kind else None

    async with fetching(attempts=3, judge=judge) as (fetcher, clock, _):
        with pytest.raises(FetchError) as caught:
            await answer(fetcher, clock, Fetch(venue.url + "/x"))
        assert fetcher.requests == attempts
    assert caught.value.unauthorised is unauthorised
    assert str(caught.value).endswith("the signature is wrong" if kind else '400: {"code":-1022}')
    assert seen == [(venue.url + "/x", 400, b'{"code":-1022}')] * attempts
