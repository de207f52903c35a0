"""Asking a plugin's hooks such that whatever they do is an answer: values of the right kind, or what went wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tickhive.channels import Channel
from tickhive.errors import PluginError
from tickhive.plugin.contract import Fetch, Reply, Request
from tickhive.session.faults import FAULTS, describe, tidy
from tickhive.session.statistics import SessionStatistics

_MEMBERS: dict[str, tuple[type, ...]] = {
    "subscribe": (Request,),
    "unsubscribe": (Request,),
    "authenticate": (Request, Fetch),
    "heartbeat": (Request, Fetch),
    "read": (object,),
}
"""What may be in the sequence a hook answers."""


class Hooks:
    """The hooks of one exchange as one socket asks them; faults are counted in its ``statistics``.

    ``secret``: the socket has credentials, so no text of a hook's exception is kept, only its kind.
    """

    def __init__(self, call: Any, statistics: SessionStatistics, *, secret: bool) -> None:
        self._call = call
        self._statistics = statistics
        self._secret = secret

    def one(self, hook: str, **arguments: Any) -> Any:
        """The answer of a hook that answers one value; None when it failed."""
        try:
            return getattr(self._call, hook)(**arguments)
        except FAULTS as error:
            self.failed(hook, error)
            return None

    def many(self, hook: str, **arguments: Any) -> tuple[Sequence[Any], str | None]:
        """The answer of a hook that answers a sequence, and what went wrong (then the sequence is empty)."""
        kinds = _MEMBERS[hook]
        try:
            answers = list(getattr(self._call, hook)(**arguments))
            for answer in answers:
                if not isinstance(answer, kinds):
                    expected = " or ".join(kind.__name__ for kind in kinds)
                    raise TypeError(f"expected {expected}, got {tidy(type(answer).__name__, 60)}")
                if isinstance(answer, Request):
                    _check(answer)
        except FAULTS as error:
            return (), self.failed(hook, error)
        return answers, None

    def failed(self, hook: str, error: BaseException) -> str:
        """Count a fault; answers it in words."""
        why = f"{hook} failed: {describe(error, secret=self._secret and not isinstance(error, PluginError))}"
        self._statistics.hook_errors += 1
        self._statistics.last_hook_error = why
        return why


def check_frame(holder: Request | Reply) -> None:
    """Raise TypeError for a frame that cannot be sent."""
    if not isinstance(holder.frame, str | bytes):
        raise TypeError(
            f"a {type(holder).__name__}'s frame is str or bytes, got {tidy(type(holder.frame).__name__, 60)}"
        )


def _check(request: Request) -> None:
    """Raise TypeError for a request that cannot be sent, or whose answer could not be known."""
    check_frame(request)
    channels = request.channels
    if isinstance(channels, Channel) or not all(isinstance(channel, Channel) for channel in channels):
        raise TypeError("a Request's channels are a sequence of Channel")
    if not isinstance(request.id, str | int | None):
        raise TypeError(f"a Request's id is str, got {tidy(type(request.id).__name__, 60)}")
