"""What every collector last said of itself: asked a few at a time, so that hundreds do not hold up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from attrs import frozen

from tickhive.manager.roster import Health, Member
from tickhive.manager.status import json_ready, keep_unchanged
from tickhive.redaction import _sanitize_error

PER_TURN = 10
"""So many collectors are asked within one turn of the event loop, by whomever: each costs some 100 µs."""


@frozen
class Answer:
    """How a collector is (None: it did not run) and what it is doing, JSON-ready; ``fault`` is why it could not say."""

    health: Health | None
    details: dict[str, Any]
    fault: str | None = None


NOT_ASKED = Answer(None, {})


class Answers:
    """Keeps the last answer of each collector.

    ``of`` asks those that changed since they were last asked, ``refresh`` asks all, both at most ``PER_TURN`` in a turn
    of the loop while ``sparing()`` holds; beyond that the answer before has to do.
    """

    def __init__(self, members: Iterable[Member], sparing: Callable[[], bool]) -> None:
        self._members = members
        self._sparing = sparing
        self._kept: dict[Member, Answer] = {}
        self._latest: dict[str, Any] = {}
        self._changed: set[Member] = set()
        self._left = PER_TURN

    def changed(self, member: Member) -> None:
        """Note that what a collector said is out of date."""
        self._changed.add(member)

    def of(self, member: Member) -> Answer:
        """What a collector says, or said when it was last asked."""
        if (member in self._changed or member not in self._kept) and self._may_ask():
            self._ask(member)
        return self._kept.get(member, NOT_ASKED)

    def ask_all(self) -> None:
        """Ask everybody, at once."""
        for member in self._members:
            self._ask(member)
        self._forget_the_gone()

    async def refresh(self, *, only_changed: bool = False) -> None:
        """Ask everybody, or who has changed, and let others have the loop between."""
        for member in tuple(self._members):
            if only_changed and member not in self._changed and member in self._kept:
                continue
            while not self._may_ask():  # noqa: ASYNC110 - the loop's next turn is what is waited for
                await asyncio.sleep(0)
            self._ask(member)
        self._forget_the_gone()

    def _ask(self, member: Member) -> None:
        self._changed.discard(member)
        health = member.health() if member.active else None
        before = self._kept.get(member, NOT_ASKED).details
        try:
            details = json_ready(dict(member.collector.get_status()))
            # What collectors of one venue say alike is kept once.
            self._latest = keep_unchanged(before, keep_unchanged(self._latest, details))
            answer = Answer(health, self._latest)
        except Exception as error:
            answer = Answer(health, {}, f"get_status failed: {_sanitize_error(error)}")
        self._kept[member] = answer

    def _may_ask(self) -> bool:
        """Take one of this turn's questions, if one is left."""
        if not self._sparing():
            return True
        if self._left == PER_TURN:
            asyncio.get_running_loop().call_soon(self._next_turn)
        if self._left:
            self._left -= 1
            return True
        return False

    def _next_turn(self) -> None:
        self._left = PER_TURN

    def _forget_the_gone(self) -> None:
        there = set(self._members)
        for member in self._kept.keys() - there:
            del self._kept[member]
        self._changed &= there
