"""What the command line logs: one form for every source, and no secret in it."""

from __future__ import annotations

import json
import logging

import pytest
import structlog

from tickhive.cli.logs import configure_logging
from tickhive.logs import get_logger


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


def test_every_source_has_one_form(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info", as_json=True)
    get_logger("tickhive.collector").bind(collector="acme").info("connected", peer="x")
    structlog.get_logger("someone").info("said", word=1)
    logging.getLogger("library").warning("watch %s", "out")
    ours, theirs, library = lines(capsys)
    assert (ours["event"], ours["collector"], ours["peer"], ours["level"]) == ("connected", "acme", "x", "info")
    assert (theirs["event"], theirs["word"], theirs["level"]) == ("said", 1, "info")
    assert (library["event"], library["level"]) == ("watch out", "warning")
    assert all("timestamp" in line for line in (ours, theirs, library))


@pytest.mark.parametrize(("level", "count"), [("debug", 3), ("info", 2), ("warning", 1), ("error", 0)])
def test_levels(capsys: pytest.CaptureFixture[str], level: str, count: int) -> None:
    configure_logging(level, as_json=True)
    log = get_logger("tickhive.service")
    log.debug("a")
    log.info("b")
    log.warning("c")
    logging.getLogger("library").info("chatter")
    assert len(lines(capsys)) == count


def test_no_secret_is_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    try:
        raise RuntimeError("refused api_key=abcdefgh1234")
    except RuntimeError:
        get_logger("tickhive.fetching").exception("failed", url="https://acme.test/x?signature=abcdefgh5678")
    logging.getLogger("library").error("token: %s", "abcdefgh9012")
    err = capsys.readouterr().err
    assert "failed" in err
    assert "abcdefgh" not in err
