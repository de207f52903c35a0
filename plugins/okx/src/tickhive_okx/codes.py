"""What OKX's error codes mean for us: can the request ever succeed, and what has to happen first.

Codes of the API guide (www.okx.com/docs-v5/en, "Error Code") as of August 2026. What is not listed is a fault of the
request itself.
"""

from __future__ import annotations

from tickhive.plugin import RejectionKind

_KINDS: dict[RejectionKind, str] = {
    # The venue is busy or restarts, or a timestamp was off by the time it arrived.
    "retry": "63999 64007 50001 50004 50013 50026 60004 60006 50102 50112",
    "rate": "60014 60023 50011 50061",
    "credentials": (
        "60005 60007 60009 60024 60026 60032 "
        "50100 50101 50103 50104 50105 50106 50107 50110 50111 50113 50114 50119 50120"
    ),
    "symbol": "60018 51001",
    "request": "60008 60011 60012 60013 60019 60027 60028 60033 64000 64001 64002 64003 64004 51000",
}
KIND_OF: dict[str, RejectionKind] = {code: kind for kind, codes in _KINDS.items() for code in codes.split()}

CLOCK = frozenset(("60004", "60006", "50102", "50112"))
"""A timestamp was refused: most likely this machine's clock is off."""

ALREADY_LOGGED_IN = "60031"
UPGRADE_NOTICE = "64008"


def reason_of(code: str, message: str) -> str:
    """An error in words, with what to do about it where OKX does not say."""
    advice = "; set this machine's clock right" if code in CLOCK else ""
    return f"{code} {message[:300]}".rstrip() + advice


def kind_of(code: str) -> RejectionKind:
    """Tell what can be done about an error."""
    return KIND_OF.get(code, "request")
