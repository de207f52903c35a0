"""What a service records: each run into a file of its own below a folder, or into what the application gives it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from tickhive.errors import CollectorError
from tickhive.logs import get_logger
from tickhive.recording import Recorder

if TYPE_CHECKING:
    from tickhive.collector.base import BaseDataCollector
    from tickhive.service.config import ServiceSection

_log = get_logger("tickhive.service")


class ServiceRecording:
    """The recorder of a service's collectors, if there is any; one that was ``given`` is closed by whoever gave it."""

    def __init__(self, section: ServiceSection, given: Recorder | None) -> None:
        self._section = section
        self._recorder = given
        self._own: Recorder | None = None

    def begin(self, collectors: Sequence[BaseDataCollector], at: int) -> None:
        """Have these collectors recorded once they start. Raises RecordingError when the file cannot be made."""
        folder = self._section.record
        if self._recorder is None and folder is not None:
            self._recorder = self._own = Recorder(folder / file_name(at), private=self._section.record_private)
        if self._recorder is None:
            return
        for collector in collectors:
            try:
                collector.record(self._recorder)
            except CollectorError as error:
                _log.warning("a collector is not recorded", collector=collector.name, reason=str(error))

    async def end(self) -> None:
        """Write what waits; to be called once no collector records any more."""
        own, self._own = self._own, None
        if own is not None:
            await asyncio.to_thread(own.close)


def file_name(at: int) -> Path:
    """The name of a recording that begins at ``at`` (ns UTC): zstd where that can be written, else gzip."""
    began = datetime.fromtimestamp(at // 10**9, UTC)
    ending = "zst" if find_spec("zstandard") is not None else "gz"
    return Path(f"{began:%Y%m%dT%H%M%S}-{at % 10**9 // 10**6:03d}Z.jsonl.{ending}")
