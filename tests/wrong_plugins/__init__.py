"""A made-up exchange, its plugin, and everything that can be wrong with one."""

from __future__ import annotations

from . import conversing, hooks, meaning, reading
from .faults import FAULTS, Fault
from .full import FullWren
from .variants import VARIANTS, Variant
from .wren import NAME, Wren

__all__ = [
    "FAULTS",
    "NAME",
    "VARIANTS",
    "Fault",
    "FullWren",
    "Variant",
    "Wren",
    "conversing",
    "hooks",
    "meaning",
    "reading",
]
