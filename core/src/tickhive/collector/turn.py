"""What the links of one Dial agree on: who rolls over now, and who is at which address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

DESPERATE = 3
"""After so many dials in a row that failed, an address is no longer refused for another link being there."""


class TurnTaker(Protocol):
    """What a link shows of itself to the others of its Dial."""

    @property
    def queued(self) -> bool:
        """Whether it waits for the venue's limit to let it dial."""

    @property
    def url(self) -> str | None:
        """Where its open socket is; None when none is open."""

    @property
    def failing(self) -> int:
        """How many dials in a row did not succeed."""

    def wake(self) -> None:
        """Look again whether a socket is to be dialled."""


class Turn:
    """Lets the links of one Dial roll over one at a time, each at an address of its own where there are several."""

    def __init__(self) -> None:
        self.links: list[TurnTaker] = []
        self._holder: TurnTaker | None = None

    def take(self, link: TurnTaker) -> bool:
        """Have the turn, if nobody else has."""
        if self._holder is None:
            self._holder = link
        return self._holder is link

    def held_up(self, link: TurnTaker) -> bool:
        """Whether another has the turn, and itself waits for its turn at the venue's limit."""
        return self._holder is not None and self._holder is not link and self._holder.queued

    def give_back(self, link: TurnTaker) -> None:
        """Leave the turn to the others."""
        if self._holder is link:
            self._holder = None
            for other in self.links:
                if other is not link:
                    other.wake()

    def leave(self, link: TurnTaker) -> None:
        """A link dials no more."""
        self.give_back(link)
        if link in self.links:
            self.links.remove(link)

    def address(self, link: TurnTaker, urls: Sequence[str], index: int) -> str:
        """The address whose turn it is by ``index``, but one where no other link is, if there is any.

        A link that cannot reach such a one takes what it gets.
        """
        if link.failing >= DESPERATE:
            return urls[index % len(urls)]
        taken = {other.url for other in self.links if other is not link}
        due = [urls[(index + step) % len(urls)] for step in range(len(urls))]
        return next((url for url in due if url not in taken), due[0])
