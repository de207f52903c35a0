"""What can go wrong at the simulated OKX, for tests of those who must survive it."""

from __future__ import annotations

from collections import deque
from typing import Literal, TypeAlias

import msgspec
from attrs import Factory, define

from tickhive_okx.venue_channels import Frame, Key

Fault: TypeAlias = Literal["drop", "repeat", "corrupt", "swap"]
"""drop: never sent. repeat: sent twice. corrupt: one level's size is wrong. swap: sent after the one that follows."""


_CODES = {401: "50113", 429: "50011"}
"""What OKX says with a status; with the others that it is not to be had just now."""


@define
class Faults:
    """The faults asked for, each for the next frame of one stream.

    ``silent`` names instruments (OKX's names) of which nothing is sent; ``no_acks`` leaves requests unanswered,
    ``deaf`` leaves pings unanswered, ``unclosed`` leaves out the pushes that say a candle is over. ``rest`` are the
    errors of the next REST requests: HTTP statuses, or OKX's codes with theirs.
    """

    silent: set[str] = Factory(set)
    no_acks: bool = False
    deaf: bool = False
    unclosed: bool = False
    rest: list[int | tuple[int, str]] = Factory(list)
    _planned: dict[Key, deque[Fault]] = Factory(dict)
    _held: dict[Key, Frame] = Factory(dict)

    def plan(self, fault: Fault, native: str, channel: str = "books", times: int = 1) -> None:
        """Let something go wrong with the next ``times`` frames of a channel of an instrument (OKX's name)."""
        self._planned.setdefault((channel, native), deque()).extend([fault] * times)

    def refusal(self) -> tuple[int, str] | None:
        """The HTTP status and the code that a REST request is refused with; None when it is answered."""
        if not self.rest:
            return None
        planned = self.rest.pop(0)
        return planned if isinstance(planned, tuple) else (planned, _CODES.get(planned, "50001"))

    def applied(self, key: Key, frame: Frame) -> list[Frame]:
        """What is sent instead of this frame."""
        if key[1] in self.silent or (self.unclosed and key[0].startswith("candle") and _closes(frame)):
            return []
        frames = [frame]
        planned = self._planned.get(key)
        if planned:
            match planned[0]:
                case "drop":
                    planned.popleft()
                    frames = []
                case "repeat":
                    planned.popleft()
                    frames = [frame, frame]
                case "corrupt":
                    corrupted = _corrupted(frame)
                    if corrupted is not frame:
                        planned.popleft()
                    frames = [corrupted]
                case "swap":
                    planned.popleft()
                    self._held[key] = frame
                    return []
        held = self._held.pop(key, None)
        return frames if held is None else [*frames, held]


def _closes(frame: Frame) -> bool:
    return any(row[-1] == "1" for row in msgspec.json.decode(frame.text)["data"])


def _corrupted(frame: Frame) -> Frame:
    """The frame with the size of its first level that is not a deletion changed; itself when it has none."""
    push = msgspec.json.decode(frame.text)
    for item in push["data"]:
        for side in ("bids", "asks"):
            for row in item.get(side, ()):
                if row[1] != "0":
                    row[1] = f"1{row[1]}"
                    return Frame(msgspec.json.encode(push).decode(), frame.events)
    return frame
