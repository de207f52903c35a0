"""What the links of one Dial agree on: who rolls over now, and who is at which address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tickhive.collector.link import Link

DESPERATE = 3
"""After so many dials in a row that failed, an address is no longer refused for another link being there."""


class Turn:
    """Lets the links of one Dial roll over one at a time, each at an address of its own where there are several."""

    def __init__(self) -> None:
        self.links: list[Link] = []
        self._holder: Link | None = None

    def take(self, link: Link) -> bool:
        """Have the turn, if nobody else has."""
        if self._holder is None:
            self._holder = link
        return self._holder is link

    def give_back(self, link: Link) -> None:
        """Leave the turn to the others."""
        if self._holder is link:
            self._holder = None
            for other in self.links:
                if other is not link:
                    other.wake()

    def leave(self, link: Link) -> None:
        """A link dials no more."""
        self.give_back(link)
        if link in self.links:
            self.links.remove(link)

    def address(self, link: Link, urls: Sequence[str], index: int) -> str:
        """The address whose turn it is by ``index``, but one where no other link is, if there is any.

        A link that cannot reach such a one takes what it gets.
        """
        if link.failing >= DESPERATE:
            return urls[index % len(urls)]
        taken = {other.leg.url for other in self.links if other is not link and other.leg is not None}
        due = [urls[(index + step) % len(urls)] for step in range(len(urls))]
        return next((url for url in due if url not in taken), due[0])
