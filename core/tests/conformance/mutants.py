"""The core with one check taken out, each time another: whoever watches has to notice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import define, field

from tickhive.events import BookDelta
from tickhive.session import books, overlap
from tickhive.session.asking import Asking
from tickhive.session.books import BookKeeper
from tickhive.session.continuity import Continuity, Resumption, Verdict, judge
from tickhive.session.conversation import Conversation
from tickhive.session.desk import BookDesk
from tickhive.session.doubles import Doubles
from tickhive.session.finding import HoleFinder
from tickhive.session.pulse import Beat, Pulse
from tickhive.session.trade_ids import Jump, TradeIds
from tickhive.session.watch import Watch

ACCEPT, DROP, GAP = Verdict.ACCEPT, Verdict.DROP, Verdict.GAP


@define
class Mutant:
    """``world`` says where to look, ``seeds`` are those of walks that noticed before: they only save time."""

    name: str
    take_out: Callable[[pytest.MonkeyPatch], None]
    world: dict[str, Any] = field(factory=dict)
    seeds: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.name


def _judging(other: Callable[[BookDelta, int | None, bool], Verdict]) -> Callable[[pytest.MonkeyPatch], None]:
    def take_out(patch: pytest.MonkeyPatch) -> None:
        for module in (books, overlap):
            if hasattr(module, "judge"):
                patch.setattr(module, "judge", other)

    return take_out


def _with(owner: type, name: str, other: Callable[..., Any]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(owner, name, other)


def _no_rule_1(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    if last is None or delta.sequence is None or delta.previous != last:
        return judge(delta, last, bridging)
    return DROP if delta.sequence <= last else ACCEPT if bridging else GAP


def _no_rule_2(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    verdict = judge(delta, last, bridging)
    if verdict is not DROP or last is None:
        return verdict
    if delta.previous is not None:
        return ACCEPT if bridging and delta.previous <= last else GAP
    first = delta.sequence if delta.first is None else delta.first
    return ACCEPT if bridging and first is not None and first <= last + 1 else GAP


def _no_rule_3(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    return judge(delta, last, False)


def _no_rule_4(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    verdict = judge(delta, last, bridging)
    follows = last is not None and delta.sequence is not None and delta.previous is None and not bridging
    return GAP if verdict is ACCEPT and follows else verdict


def _no_rule_5(delta: BookDelta, last: int | None, bridging: bool) -> Verdict:
    verdict = judge(delta, last, bridging)
    return ACCEPT if verdict is GAP else verdict


def _no_pulse(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pulse, "beat", lambda *arguments: Beat.NOTHING)
    patch.setattr(Pulse, "deadline", lambda *arguments: None)


_find_odd, _begin = TradeIds._unusual, Continuity.begin


def _no_jump(self: TradeIds, *arguments: Any) -> Any:
    found = _find_odd(self, *arguments)
    return None if isinstance(found, Jump) else found


def _no_interruption(self: Continuity, *arguments: Any) -> Any:
    resumed = _begin(self, *arguments)
    return Resumption(resumed.before, None, resumed.known) if resumed is not None else None


MUTANTS = (
    Mutant("rule 1, the chain, is not applied", _judging(_no_rule_1)),
    Mutant("rule 2, already known, is not applied", _judging(_no_rule_2), seeds=(5, 9)),
    Mutant("rule 3, the bridge from a fetched snapshot, is not applied", _judging(_no_rule_3), seeds=(91, 102)),
    Mutant("rule 4, the next number, is not applied", _judging(_no_rule_4)),
    Mutant("rule 5, anything else is a gap, is not applied", _judging(_no_rule_5), seeds=(1, 4)),
    Mutant("checksums are not compared", _with(BookDesk, "checksum", lambda *arguments: None)),
    Mutant("trade ids may jump", _with(TradeIds, "_unusual", _no_jump)),
    Mutant("an interruption leaves no gap", _with(Continuity, "begin", _no_interruption)),
    Mutant("doubles of several sockets pass", _with(Doubles, "drop", lambda self, events, line, at: events)),
    Mutant(
        "a restart that nobody saw is not found out",
        _with(BookKeeper, "_restarted_unseen", lambda *arguments: False),
        seeds=(1, 71),
    ),
    Mutant(
        "what comes live after it was fetched passes",
        _with(HoleFinder, "_came", lambda *arguments: None),
        seeds=(1, 51),
    ),
    Mutant("nobody watches for silence", _with(Watch, "begin", lambda *arguments: None)),
    Mutant("a request may stay unanswered", _with(Asking, "_unanswered", lambda *arguments: None), seeds=(33, 48)),
    Mutant("the pulse is not taken", _no_pulse),
    Mutant(
        "lost frames of a numbered socket are not noticed",
        _with(Conversation, "_numbered", lambda *arguments: None),
        {"numbered": True, "links": 1},
        seeds=(13, 27),
    ),
    Mutant("candles are not followed", _with(HoleFinder, "candle", lambda *arguments: True), seeds=(2, 4)),
)
