"""Asking a plugin outside a session: what a hook raises is blamed on its package."""

from __future__ import annotations

from typing import Any

from tickhive.errors import TickhiveError
from tickhive.plugin.stack import ExchangeStack
from tickhive.redaction import _sanitize_error
from tickhive.session.faults import FAULTS, describe, tidy


def ask(
    stack: ExchangeStack,
    hook: str,
    *,
    passing: tuple[type[Exception], ...] = (),
    secret: bool = False,
    **arguments: Any,
) -> Any:
    """What a hook answers. PluginError, naming package and hook, for what it raises but for the kinds in ``passing``.

    ``secret``: credentials are in its reach, so its text is told without them, and its traceback not at all.
    """
    try:
        return getattr(stack.call, hook)(**arguments)
    except FAULTS as error:
        if isinstance(error, (TickhiveError, *passing)):
            raise
        words = tidy(_sanitize_error(error)) if secret else describe(error)
        raise stack.refuse(f"its {hook} hook failed: {words}", "Report this to its authors") from (
            None if secret else error
        )
