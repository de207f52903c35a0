"""What a recorder is told of a collector: its sockets' frames, in and out, and the answers to its REST requests.

What would let somebody act for an account never gets there: headers, logins, whatever a collector with credentials
sends, and the answers that carry tokens. What only tells about the account (incoming frames of its sockets, other
signed answers) gets there when the recorder is meant for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from tickhive.channels import Channel
from tickhive.errors import FetchError, TickhiveError
from tickhive.plugin.contract import Answer, Credentials, Dial, Fetch
from tickhive.redaction import MASK, default_redactor
from tickhive.session.session import Session

Process = Callable[[Session, list[bytes], int], None]

NO_ANSWER = 599
"""Stands as the status of a request that brought no answer at all."""


class Tape(Protocol):
    """Where a recording is kept. ``private``: what belongs to an account may be kept too."""

    @property
    def private(self) -> bool:
        """Whether what belongs to an account may be kept."""

    def connection(self) -> int:
        """A number for one more socket."""

    def withhold(self, lines: int) -> None:
        """Count what is not kept because it belongs to an account."""

    def status(self) -> dict[str, Any]:
        """How it goes, JSON-ready."""

    def write(
        self,
        at: int,
        kind: str,
        direction: str,
        url: str,
        connection: int,
        frames: Sequence[bytes | str],
        *,
        status: int | None = None,
        mask: bool = False,
    ) -> None:
        """Keep these frames; returns at once. ``mask``: secrets are taken out before they are written."""


class Recorded:
    """The recording of one collector. ``signs`` tells whether a request carries the account's signature."""

    def __init__(self, tape: Tape, credentials: Credentials | None, signs: Callable[[Fetch], bool]) -> None:
        self.tape = tape
        self.credentials = credentials
        self._signs = signs

    def socket(self, dial: Dial, url: str, process: Process, at: int) -> RecordedSocket:
        """A socket is open; ``process`` takes in what it brings."""
        return RecordedSocket(self, dial, url, process, at)

    def answered(self, fetch: Fetch, answer: Answer, at: int, *, address: bool = False) -> None:
        """A request was answered; ``address``: with one to dial, which is as good as a token."""
        private = self._belongs(fetch)
        # What is signed and asked for no channel gets a token, or a key to listen with.
        if address or (private and (not self.tape.private or fetch.channel is None)):
            self.tape.withhold(1)
            return
        url = default_redactor.mask_address(fetch.url)
        self.tape.write(at, "http", "in", url, 0, (answer.body,), status=answer.status, mask=private)

    def failed(self, fetch: Fetch, error: FetchError, at: int) -> None:
        """A request was refused, or never reached the venue; its error is fit to be shown."""
        if self._belongs(fetch) and not self.tape.private:
            self.tape.withhold(1)
            return
        url = default_redactor.mask_address(fetch.url)
        self.tape.write(at, "http", "in", url, 0, (str(error),), status=error.status or NO_ANSWER)

    def _belongs(self, fetch: Fetch) -> bool:
        if self.credentials is None:
            return False
        try:
            return self._signs(fetch)
        except TickhiveError:
            return True  # what cannot be judged is taken for the account's


class RecordedSocket:
    """The recording of one socket. ``process`` stands in for what it was given to take in frames with."""

    __slots__ = ("_channels", "_number", "_private", "_process", "_secret", "_tape", "_url", "_withheld")

    def __init__(self, recorded: Recorded, dial: Dial, url: str, process: Process, at: int) -> None:
        self._tape = recorded.tape
        self._secret = recorded.credentials is not None
        self._number = recorded.tape.connection()
        self._process = process
        self._channels: Sequence[Channel] = ()
        # After a login some venues send the account's data unasked.
        self._private = self._secret and (dial.login or _of_account(dial.channels))
        self._withheld = self._private and not self._tape.private
        # The path may hold a key to listen with.
        self._url = default_redactor.mask(url) if self._private else default_redactor.mask_address(url)
        self._tape.write(at, "connect", "out", self._url, self._number, ("",))
        self.carries(dial, dial.channels, at)

    def process(self, session: Session, frames: list[bytes], at: int) -> None:
        """Record what one read brought, then take it in."""
        if self._withheld or (self._private and not session.is_open):  # what is said at the login is part of it
            self._tape.withhold(len(frames))
        else:
            self._tape.write(at, "ws", "in", self._url, self._number, frames, mask=self._private)
        self._process(session, frames, at)

    def carries(self, dial: Dial, channels: Sequence[Channel], at: int) -> None:
        """Record which channels the socket is there for, when they are others than before."""
        channels = tuple(channels)
        if channels == self._channels:
            return
        self._channels = channels
        # What carried an account's data once may still bring some of it.
        self._private = self._private or (self._secret and _of_account(channels))
        self._withheld = self._private and not self._tape.private
        named = [(each.symbol, each.native, each.data_type, each.params) for each in channels]
        self._tell(at, "carries", "out", json.dumps({"key": dial.key, "channels": named}))

    def sent(self, frame: str | bytes, at: int) -> None:
        """Record what was sent; of a collector with credentials only that something was."""
        self._tell(at, "ws", "out", MASK if self._secret else frame)

    def ticked(self, at: int) -> None:
        """Record that a deadline of the session came: what it does then is part of what happened."""
        self._tell(at, "tick", "out", "")

    def ponged(self, at: int) -> None:
        """Record the answer to a ping."""
        self._tell(at, "pong", "in", "")

    def closed(self, reason: str, at: int) -> None:
        """The socket's session has ended."""
        self._tape.write(at, "close", "in", self._url, self._number, (reason,))

    def _tell(self, at: int, kind: str, direction: str, text: str | bytes) -> None:
        if not self._withheld:
            self._tape.write(at, kind, direction, self._url, self._number, (text,))


def _of_account(channels: Sequence[Channel]) -> bool:
    return any(channel.data_type.private for channel in channels)


RECORDED: ContextVar[Recorded | None] = ContextVar("tickhive_recorded", default=None)
"""For whose recording requests are made: set where a collector's work begins, and inherited by all it starts."""
