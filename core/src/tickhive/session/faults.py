"""How an exception of a plugin is put into words that may be shown: short, one line, nothing secret."""

from __future__ import annotations

FAULTS = (Exception, SystemExit)
"""What a hook's failure is: one that calls ``sys.exit`` must not end the process that asked it."""

_LONGEST = 160


class HookEnded(BaseException):
    """Raised inside a hook that did not return in time; no ``except Exception`` of its holds it up."""

    def __str__(self) -> str:
        return "it did not return in time"


class StaleFrame(Exception):
    """A frame came again, or after one that was sent later: what follows in it is known, or given up already."""


def tidy(text: object, longest: int = _LONGEST) -> str:
    """One printable line of bounded length, whatever it was; never raises."""
    try:
        words = str(text)[: 4 * longest]
    except Exception:
        words = "(no text)"
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def describe(error: BaseException, *, secret: bool = False) -> str:
    """The kind of an exception and its text; the kind alone where credentials were in reach."""
    kind = tidy(type(error).__name__, 60)
    if secret:
        return kind
    text = tidy(error)
    return f"{kind}: {text}" if text else kind
