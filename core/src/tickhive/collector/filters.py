"""An application's say over the checked events of a collector: each filter hands on, changes, drops or adds."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, TypeAlias

from tickhive.channels import DataType
from tickhive.collector.guard import GUARD
from tickhive.collector.overrun import Held
from tickhive.errors import ConfigurationError
from tickhive.events import DATA_TYPE_OF, EVENT_TYPES, Gap, MarketEvent
from tickhive.redaction import _sanitize_error
from tickhive.session.faults import FAULTS, HookEnded

Filter: TypeAlias = Callable[[Any], Any]
"""Answers the event itself, a changed copy, None to drop it, or a list of events in its place."""

SLOW_SECONDS = 0.1


class EventFilter:
    """One filter and what became of the events it was asked about.

    It sees the events of its data types; without any it sees everything, Gap and SubscriptionUpdate events too. When it
    raises, or answers what is no event, the event goes on as it was; so do all once it did not
    return within the collector's ``hook_deadline_seconds`` and was ended. A Gap cannot be dropped: what was missed is
    missed whether somebody wants to hear of it or not.
    """

    def __init__(self, function: Filter, data_types: Iterable[DataType | str], warn: Callable[..., object]) -> None:
        self.function = function
        self.name = getattr(function, "__qualname__", None) or type(function).__qualname__
        if not _takes_one(function):
            raise ConfigurationError(f"filter {self.name}: expected a function of one event")
        if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
            raise ConfigurationError(f"filter {self.name}: it is async; a filter answers at once, write a plain def")
        try:
            self.data_types = frozenset(map(DataType, data_types))
        except ValueError as error:
            raise ConfigurationError(f"filter {self.name}: {error}") from None
        self.seen = self.dropped = self.errors = 0
        self.last_error: str | None = None
        self._kinds = frozenset(
            kind for kind in EVENT_TYPES if not self.data_types or DATA_TYPE_OF.get(kind) in self.data_types
        )
        self._warn = warn
        self._slow = False
        self._ended = False

    def apply(self, events: list[MarketEvent]) -> list[MarketEvent]:
        """What becomes of these events, in their order."""
        guard = GUARD.get()
        if self._ended:
            return events
        if guard is None or not guard.here:
            return self._ask(events)
        held = Held(f"the filter {self.name}", guard.deadline_seconds, HookEnded, __name__)
        answer, over = guard.run(held, lambda: self._ask(events))
        if over is None and answer is not None:
            return answer
        self._ended = True
        self.errors += 1
        self.last_error = f"it had not returned after {over.seconds if over else 0:.1f} s and was ended"
        where = over.where if over else ""
        self._warn("a filter was ended; it is asked no more", filter=self.name, error=self.last_error, at=where)
        return events

    def _ask(self, events: list[MarketEvent]) -> list[MarketEvent]:
        kinds, function = self._kinds, self.function
        out: list[MarketEvent] = []
        began = perf_counter()
        for event in events:
            if event.__class__ not in kinds:
                out.append(event)
                continue
            self.seen += 1
            try:
                answer = function(event)
            except FAULTS as error:
                self._failed(_sanitize_error(error))
                answer = event
            if answer.__class__ in _EVENT_TYPES and (event.__class__ is not Gap or answer.__class__ is Gap):
                out.append(answer)
            elif answer is None and event.__class__ is not Gap:
                self.dropped += 1
            else:
                out += self._several(event, answer)
        if not self._slow and perf_counter() - began > SLOW_SECONDS:
            self._slow = True
            self._warn("a filter holds the event loop", filter=self.name, slow_seconds=SLOW_SECONDS)
        return out

    def status(self) -> dict[str, Any]:
        """Its counters, JSON-ready."""
        return {
            "name": self.name,
            "data_types": sorted(self.data_types),
            "seen": self.seen,
            "dropped": self.dropped,
            "errors": self.errors,
            "last_error": self.last_error,
        }

    def _several(self, event: MarketEvent, answer: Any) -> list[MarketEvent]:
        """The events of a list; the event itself for every answer that is no such list. A Gap that would go stands
        before what is answered in its place.
        """
        if answer.__class__ in _EVENT_TYPES or answer is None:  # for a Gap
            answer = [] if answer is None else [answer]
        if isinstance(answer, list) and all(each.__class__ in _EVENT_TYPES for each in answer):
            if event.__class__ is Gap and not any(each.__class__ is Gap for each in answer):
                return [event, *answer]
            self.dropped += not answer
            return answer
        if inspect.iscoroutine(answer):
            answer.close()
        self._failed(f"it answered {type(answer).__name__}, not an event, a list of events or None")
        return [event]

    def _failed(self, error: str) -> None:
        """Count a fault; say so for the 1st, 10th, 100th, ... so that a broken filter cannot flood the log."""
        self.errors += 1
        self.last_error = error
        if str(self.errors).strip("0") == "1":
            self._warn("a filter failed; its events go on unchanged", filter=self.name, errors=self.errors, error=error)


_EVENT_TYPES = frozenset(EVENT_TYPES)


def _takes_one(function: Any) -> bool:
    """Whether it may be asked about an event; a class would make an object of it."""
    if not callable(function) or isinstance(function, type):
        return False
    try:
        inspect.signature(function).bind(None)
    except TypeError:
        return False
    except ValueError:
        pass  # a built-in does not say what it takes
    return True
