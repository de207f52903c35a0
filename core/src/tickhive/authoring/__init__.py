"""A package of one's own for an exchange, ready to be changed: what ``tickhive new`` makes."""

from __future__ import annotations

from tickhive.authoring.naming import Names
from tickhive.authoring.packaging import new_package

__all__ = ["Names", "new_package"]
