"""Sockets without a session: what a plugin's hooks are shown when nothing shall be heard of it."""

from __future__ import annotations

import copy
import itertools

from tickhive.session import OutsideView, Session


def alike(session: Session | OutsideView) -> OutsideView:
    """A view of the same socket with a copy of its memory."""
    view = OutsideView(
        session.exchange, session.settings, session.instruments, copy.deepcopy(session.memory), session.account
    )
    view.dial = session.dial
    view._ids = itertools.count(1_000_000)
    return view
