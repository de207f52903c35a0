"""Durations as people write them on a command line: ``30s``, ``5m``, ``1h30m``."""

from __future__ import annotations

import math
import re

import click

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")


def parse_duration(text: str) -> float:
    """Read a duration in seconds; a bare number counts seconds. ValueError says what is expected.

    >>> parse_duration("30s"), parse_duration("1h30m"), parse_duration("0.5")
    (30.0, 5400.0, 0.5)
    """
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        seconds = float(compact)
    elif compact and _PART.sub("", compact) == "":
        seconds = sum(float(amount) * _SECONDS[unit] for amount, unit in _PART.findall(compact))
    else:
        raise ValueError(f"expected a duration such as 30s, 5m or 1h30m, got {text!r}")
    if seconds <= 0:
        raise ValueError(f"expected a duration above zero, got {text!r}")
    return seconds


def factor(text: str) -> float:
    """The click type of an option that takes a number of times: finite and above zero."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise click.BadParameter(f"expected a number above zero, such as 2 or 0.5, got {text!r}")
    return number


def duration(text: str) -> float:
    """The click type of an option that takes a duration; its value is in seconds."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
