"""What is asked by REST about an account: how a channel stands, how an order ended, which fills were missed."""

from __future__ import annotations

from attrs import define, field

from tickhive.channels import Channel
from tickhive.events import Balance, Fill, Gap, Order, Position
from tickhive.plugin.contract import Malformed, Rejected
from tickhive.session.fills import Fills
from tickhive.session.holdings import HoldingKey, key_of

Absence = tuple[int, str]
"""Since when nobody carried a stream (ns UTC), and why."""


@define(eq=False)
class Standing:
    """How a channel stands: its snapshot, page by page, asked for again where that failed.

    ``lost`` is the absence it ends. Of the last try, which began at ``since`` (ns UTC): ``pages`` are on their way,
    ``whole``: everything could be read so far, ``again``: the venue wants to be asked later, ``refused``: not at all,
    ``told`` are the positions and currencies it named. ``failed`` and ``unread`` count the tries that came to nothing.
    ``over``: nobody wants it any more.
    """

    channel: Channel
    lost: Absence | None = None
    since: int = 0
    pages: int = 0
    whole: bool = True
    again: bool = False
    refused: bool = False
    told: set[HoldingKey] = field(factory=set)
    failed: int = 0
    unread: int = 0
    over: bool = False

    def begin(self, at: int) -> None:
        """It is asked for."""
        self.since, self.pages = at, 1
        self.whole, self.again, self.refused = True, False, False
        self.told.clear()

    def note(self, event: object) -> None:
        """Look at what an answer said."""
        if isinstance(event, Rejected):
            self.whole = False
            self.again = event.kind in ("rate", "retry")
            self.refused = not self.again
        elif isinstance(event, Malformed):
            self.whole = False
        elif isinstance(event, Balance | Position):
            self.told.add(key_of(event))


@define(eq=False)
class LastWord:
    """A request for how one order ended; ``gap`` is told where nobody says."""

    order: Order
    gap: Gap


@define(eq=False, kw_only=True)
class RecentFills(Standing):
    """The last fills of an account. ``reached``: among them is one that was known when the absence began, or one from
    before anybody asked, so that none is missing. ``since_then``: others are among them.
    """

    fills: Fills
    reached: bool = False
    since_then: bool = False

    def begin(self, at: int) -> None:
        """It is asked for."""
        Standing.begin(self, at)
        self.reached = self.since_then = False

    def note(self, event: object) -> None:
        """Look at what an answer said."""
        Standing.note(self, event)
        if isinstance(event, Fill) and self.lost is not None:
            known = self.fills.known(event, self.lost[0])
            self.reached |= known
            self.since_then |= not known

    @property
    def came(self) -> bool:
        """Whether something that was missed has been handed out, by whatever socket."""
        return self.lost is not None and self.fills.late_at >= self.lost[0]

    @property
    def nothing_missed(self) -> bool:
        """Whether nothing was filled while nobody listened."""
        return not self.came and (self.reached or not self.since_then)


@define(eq=False, kw_only=True)
class SymbolFills(Standing):
    """The fills of one symbol that nobody carried; ``came``: there were some that the account's ``fills`` lacked."""

    gap: Gap
    fills: Fills
    came: bool = False

    def note(self, event: object) -> None:
        """Look at what an answer said."""
        Standing.note(self, event)
        if isinstance(event, Fill) and self.fills.lacks(event):
            self.came = True
