"""What is wrong with a collector's connections, polls and data, and whether starting again could help."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen


@frozen
class Symptoms:
    """``reasons``: a sentence for everything that is wrong.

    ``needs_operator``: all of it is what the venue refuses for good, and starting again cannot help until somebody has
    mended the cause. ``waits``: all of it is that the venue's limit has not let it through yet.
    """

    reasons: Sequence[str]
    needs_operator: bool = False
    waits: bool = False


NONE = Symptoms(())
"""All is well."""
