"""What Binance's error codes mean for us: can the request ever succeed, and what has to happen first.

Codes of the pages "Error codes" of the spot and derivatives documentation, as of September 2026. What is not listed is
a fault of the request itself.
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

CLOCK = -1021
"""A timestamp was refused: most likely this machine's clock is off."""


def kind_of(code: int) -> RejectionKind:
    """Tell what can be done about an error."""
    return _KIND_OF.get(code, "request")


def reason_of(code: int, message: str) -> str:
    """An error in words, with what to do about it where Binance does not say."""
    advice = "; set this machine's clock right" if code == CLOCK else ""
    return f"{code} {message[:300]}".rstrip() + advice
