"""A real process with a store that does not work: the second Ctrl-C ends it, the first ends it when nothing waits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a process cannot be sent SIGINT on Windows")

STORE = """
import sys, threading
from attrs import define
from tickhive.sinks import Sink, SinkSettings

class Store(Sink):
    @define(kw_only=True)
    class Settings(SinkSettings):
        fault: str

    def open(self):
        if self.settings.fault == "closed":
            raise OSError("store is closed")

    def write(self, batch):
        print("the store is asked to write", file=sys.stderr, flush=True)
        if self.settings.fault == "hangs":
            threading.Event().wait()
        raise OSError("store is down")

    def close(self):
        pass
"""

RUN = """
import asyncio, importlib.util, pathlib, sys, threading
spec = importlib.util.spec_from_file_location("acme_for_tests", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from tickhive.cli.main import main
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

venue = module.AcmeVenue()
default_registry().register("acme", module.Acme(venue))
server, loop = VenueServer(venue), asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
config = pathlib.Path(sys.argv[2])
url = "ws://127.0.0.1:9" if sys.argv[3] == "absent" else server.url
config.write_text(config.read_text().replace("URL", url))
main(["run", "--config", sys.argv[2], *sys.argv[4:]])
"""

Launch = Callable[..., "Iterator[subprocess.Popen[str]]"]


@pytest.fixture
def launch(tmp_path: Path) -> Launch:
    """Start ``tickhive run`` with a store that has the given fault; killed at last if it will not end."""
    package = tmp_path / "packages"
    installed = package / "teststore-1.0.dist-info"
    installed.mkdir(parents=True)
    (package / "teststore.py").write_text(STORE)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: teststore\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[tickhive.sinks]\nteststore = teststore:Store\n")
    fixtures = Path(__file__).parents[1] / "cli" / "conftest.py"
    config = tmp_path / "tickhive.toml"

    @contextmanager
    def start(fault: str, *arguments: str, venue: str = "speaks") -> Iterator[subprocess.Popen[str]]:
        config.write_text(
            f"[service]\ndata_dir = {str(tmp_path / 'store')!r}\n"
            '[exchanges.acme]\nurl = "URL"\n'
            '[[collectors]]\nexchange = "acme"\nsymbols = ["A-B"]\ndata_types = ["trade"]\n'
            f'[[sinks]]\ntype = "teststore"\nfault = "{fault}"\nflush_seconds = 0.01\n'
        )
        config.chmod(0o600)
        paths = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
        with (
            (tmp_path / "out").open("w") as out,
            subprocess.Popen(
                [sys.executable, "-c", RUN, str(fixtures), str(config), venue, *arguments],
                stdout=out,
                stderr=subprocess.PIPE,
                text=True,
                env={**os.environ, "PYTHONPATH": paths},
            ) as process,
        ):
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            try:
                yield process
            finally:
                watchdog.cancel()
                process.kill()

    return start


def read_to(process: subprocess.Popen[str], words: str) -> str:
    """Read its log until a line has these words."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line)
        if words in line:
            return "".join(lines)
    raise AssertionError(f"{words!r} was never said:\n{''.join(lines)}")


@pytest.mark.parametrize("fault", ["down", "hangs"])
def test_the_second_signal_ends_the_process_whatever_the_store_does(launch: Launch, fault: str) -> None:
    with launch(fault) as process:
        read_to(process, "the store is asked to write")
        process.send_signal(signal.SIGINT)
        said = read_to(process, "once more stops by force")
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=15)[1]
    assert process.returncode == 1, said
    assert "stopped by force" in said
    assert "The spool is closed" not in said
    assert "Traceback" not in said


def test_when_its_time_is_over_the_first_signal_is_enough(launch: Launch) -> None:
    with launch("down", "--for", "1s") as process:
        said = read_to(process, "collector acme:A-B stopped")
        process.send_signal(signal.SIGINT)
        said += process.communicate(timeout=15)[1]
    assert process.returncode == 1, said
    assert "stopping by force" in said


def test_a_store_that_is_down_delays_no_stop_when_nothing_waits_for_it(launch: Launch) -> None:
    with launch("closed", venue="absent") as process:
        read_to(process, "the sink failed")
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=15)[1]
    assert process.returncode == 0, said
    assert "stopped in order" in said
