"""One exchange's name in all the forms a package writes it in, and the change from the template's name to it."""

from __future__ import annotations

import re

from attrs import field, frozen

from tickhive.errors import ConfigurationError

_NAME = re.compile(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")

_TEMPLATE = re.compile(
    r"(?P<distribution>(?<=tickhive-)template|template(?=\.example))"
    r"|(?P<module>(?<=_)template|template(?=_))"
    r"|(?P<identifier>(?<=[A-Za-z])Template|Template(?=[A-Z]))"
    r"|(?P<title>\bTemplate\b)"
    r"|(?P<exchange>\btemplate\b)"
)
"""The template's name, by the form it is written in. All are replaced in one go: a name may hold the word again."""


@frozen
class Names:
    """The forms of an exchange's name; ConfigurationError for one that no package can have.

    >>> names = Names("my-venue")
    >>> names.distribution, names.module, names.identifier, names.title
    ('my-venue', 'my_venue', 'MyVenue', 'My Venue')
    >>> names.rename('class TestTemplate: exchange = "template"  # tickhive_template speaks to Template')
    'class TestMyVenue: exchange = "my-venue"  # tickhive_my_venue speaks to My Venue'
    """

    exchange: str = field()

    def __attrs_post_init__(self) -> None:
        """Refuse a name that is not words of lower-case letters and digits."""
        if _NAME.fullmatch(self.exchange):
            return
        close = re.sub(r"[^a-z0-9]+", "-", self.exchange.lower()).strip("-")
        hint = f"; {close!r} would be one" if close else ""
        raise ConfigurationError(
            f"an exchange's name is lower-case letters and digits, in words joined by '-' or '_'{hint}", self.exchange
        )

    @property
    def distribution(self) -> str:
        """As in ``pip install tickhive-...`` and in host names."""
        return self.exchange.replace("_", "-")

    @property
    def module(self) -> str:
        """As in ``import tickhive_...`` and in the names of files."""
        return self.exchange.replace("-", "_")

    @property
    def identifier(self) -> str:
        """As a part of the names of classes."""
        return "".join(word.capitalize() for word in self.module.split("_"))

    @property
    def title(self) -> str:
        """As in a sentence."""
        return " ".join(word.capitalize() for word in self.module.split("_"))

    def rename(self, text: str) -> str:
        """The same text about this exchange instead of the template."""
        return _TEMPLATE.sub(lambda match: str(getattr(self, str(match.lastgroup))), text)
