"""What Coinbase's error texts mean for us: can the request ever succeed, and what has to happen first.

Neither exchange has codes on its sockets. Which words mean what is read from the texts that were seen; what is not
recognised is a fault of the request itself.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from tickhive.plugin import Answer, Fetch, Rejected, RejectionKind, hookimpl
from tickhive.plugin.reading import UNREADABLE

_WORDS: tuple[tuple[str, RejectionKind], ...] = (
    # First, because a product may be called like any word below.
    (r"(?:not a valid|not a known|invalid|unknown) products?", "symbol"),
    # Said to those who did not sign: it is the channel that cannot be had so, not a key that is wrong.
    (r"require[sd]? authentication", "request"),
    (r"timestamps?|expired|clock", "retry"),
    (r"rate[ _]limit(?:s|ed)?|too[ _]many|throttl(?:ed|ing|e)|slow down", "rate"),
    (r"(?:un)?auth[a-z]*|signatures?|api[ _-]?keys?|passphrase|jwt|tokens?|permissions?|forbidden", "credentials"),
    (r"product[_ ]?ids?", "symbol"),
    (r"internal|unavailable|try again|time[ -]?out|timed out|maintenance", "retry"),
)
# Whole words only, and none that is a part of a product's name: TOKEN-USD says nothing of a token.
_KINDS = tuple((re.compile(rf"(?<![a-z0-9-])(?:{words})(?![a-z0-9-])", re.IGNORECASE), kind) for words, kind in _WORDS)

_FAREWELL = re.compile(r"ErrSlow(Consume|Read)|message too big|slow consumer", re.IGNORECASE)


def kind_of(reason: str) -> RejectionKind:
    """Tell what can be done about an error.

    >>> [kind_of(text) for text in ("Authentication Failed", "FOO-USD is not a valid product", "who knows")]
    ['credentials', 'symbol', 'request']
    """
    return next((kind for words, kind in _KINDS if words.search(reason)), "request")


def is_farewell(reason: str) -> bool:
    """Tell whether an error announces the end of the socket: its reader was too slow."""
    return _FAREWELL.search(reason) is not None


class _Said(Struct, gc=False):
    message: str = ""


_said = msgspec.json.Decoder(_Said).decode
_UNAUTHORISED = 401


@hookimpl
def refused(fetch: Fetch, answer: Answer) -> Rejected | None:
    """A signature that came too late or too early is no wrong key: this machine's clock is off, or the way was long."""
    if answer.status != _UNAUTHORISED:
        return None
    try:
        said = _said(answer.body).message
    except UNREADABLE:
        return None
    return Rejected(f"{said[:300]}; set this machine's clock right", "retry") if kind_of(said) == "retry" else None
