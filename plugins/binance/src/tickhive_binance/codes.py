"""What Binance's error codes mean for us: can the request ever succeed, and what has to happen first.

Codes of the pages "Error codes" of the spot and derivatives documentation, as of September 2026. What is not listed is
a fault of the request itself, unless the status of the answer says that it is the server's, or a limit.
"""

from __future__ import annotations

from tickhive.plugin import RejectionKind

_KINDS: dict[RejectionKind, tuple[int, ...]] = {
    # Busy, restarting, or a timestamp that was off by the time it arrived; -1125: the listen key wants renewal.
    "retry": (-1000, -1001, -1006, -1007, -1008, -1016, -1021, -1125),
    "rate": (-1003, -1015, -1034),
    "credentials": (-1002, -1022, -2014, -2015),
    "symbol": (-1121,),
}
_KIND_OF: dict[int, RejectionKind] = {code: kind for kind, codes in _KINDS.items() for code in codes}

LIMITED = (418, 429)
"""The statuses of a request over a limit: with 429 it is to wait, with 418 it is banned for a while."""

CLOCK = -1021
"""A timestamp was refused: most likely this machine's clock is off."""


def listed_kind(code: int) -> RejectionKind | None:
    """Tell what can be done about an error by its code; None for one that is not listed."""
    return _KIND_OF.get(code)


def kind_of(code: int, status: int = 400) -> RejectionKind:
    """Tell what can be done about an error that was told with this status, which decides where the code does not."""
    return listed_kind(code) or ("retry" if status >= 500 else "rate" if status in LIMITED else "request")


def reason_of(code: int, message: str) -> str:
    """An error in words, with what to do about it where Binance does not say."""
    advice = "; set this machine's clock right" if code == CLOCK else ""
    return f"{code} {message[:300]}".rstrip() + advice
