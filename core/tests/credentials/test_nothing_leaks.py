"""Real processes with right and wrong credentials from every source: none of the bytes they write holds a secret."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

RIGHT = {"key": "Kx81-main-key-9", "secret": "tH3-s3cr3t/of+main==", "passphrase": "pass phrase: of main"}
IN_FILE = {"key": "Kx82-other-key-7", "secret": "wr0ng/s3cr3t+of other", "passphrase": "no such phrase?"}
IN_CLEAR = {"key": "Kx83-plain-key-5", "secret": 'in"clear\\secret&five', "passphrase": "häßliche Phrase"}

STORE = """
import pathlib
from attrs import define
from tickhive.sinks import Sink, SinkSettings

class Store(Sink):
    @define(kw_only=True)
    class Settings(SinkSettings):
        path: str
        fault: str = ""

    def open(self):
        pass

    def write(self, batch):
        if self.settings.fault:
            raise OSError(self.settings.fault)
        with pathlib.Path(self.settings.path).open("a", encoding="utf-8") as file:
            file.writelines(f"{event!r}\\n" for event in batch.events)
"""

BEGIN = """
import asyncio, importlib.util, json, os, pathlib, sys, threading
spec = importlib.util.spec_from_file_location("vault_for_tests", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from tickhive.plugin.registry import default_registry
from tickhive.simulation import VenueServer

secret = os.environ["VAULT_SECRET"]
venue = module.VaultVenue({os.environ["VAULT_KEY"]: (secret, os.environ["VAULT_WORDS"])})
default_registry().register("vault", module.Vault(clumsy=True))
server, loop = VenueServer(venue), asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(server.start(), loop).result(20)
config = pathlib.Path(sys.argv[2])
config.write_text(config.read_text("utf-8").replace("REST", server.rest_url).replace("URL", server.url), "utf-8")

def fail():
    while not venue.logins:
        threading.Event().wait(0.05)
    raise ValueError(f"a thread that knows {secret}")
"""

COMMAND = """
from tickhive.cli.crashes import redacted_crashes
from tickhive.cli.main import main
threading.Thread(target=fail).start()
try:
    main([*sys.argv[3:], "run", "--config", sys.argv[2], "--for", "1s"])
except SystemExit as end:
    print("ended with", end.code)
with redacted_crashes():
    raise RuntimeError(f"the process itself with {secret}")
"""

LIBRARY = """
import logging
from tickhive import CollectorError, DataCollectionService, ServiceConfig
logging.basicConfig(level=logging.DEBUG)

async def run():
    config = ServiceConfig.load(sys.argv[2])
    print(repr(config), str(config))
    service = DataCollectionService(config)
    async with service:
        for _ in range(5):
            await asyncio.sleep(0.2)
            print(json.dumps(service.get_status()), repr(service.collectors))
        for collector in service.collectors:
            print(collector.get_health_status(), vars(collector), vars(collector._access), collector._feed.ledger)

asyncio.run(run())
"""

CONFIG = """
[service]
data_dir = {data_dir}
log_level = "debug"
drain_seconds = 0.2
[exchanges.vault]
url = "URL"
rest_url = "REST"
[accounts.right]
exchange = "vault"
key_env = "VAULT_KEY"
secret_env = "VAULT_SECRET"
passphrase_file = {passphrase_file}
[accounts.wrong]
exchange = "vault"
file = {file}
[accounts.plain]
exchange = "vault"
allow_clear_text = true
key = {key}
secret = {secret}
passphrase = {passphrase}
[accounts.gone]
exchange = "vault"
key_env = "VAULT_KEY"
secret_env = "VAULT_NOT_SET"
[[collectors]]
exchange = "vault"
account = "right"
symbols = ["A-B"]
data_types = ["trade", "order"]
[[collectors]]
exchange = "vault"
name = "polls"
account = "right"
data_types = ["balance"]
[[collectors]]
exchange = "vault"
account = "wrong"
symbols = ["A-B"]
data_types = ["trade", "order", "balance"]
[[collectors]]
exchange = "vault"
account = "plain"
data_types = ["order", "balance"]
[[collectors]]
exchange = "vault"
account = "gone"
data_types = ["order"]
[[sinks]]
type = "teststore"
name = "good"
path = {sink}
flush_seconds = 0.1
[[sinks]]
type = "teststore"
name = "down"
path = ""
fault = "the store is down"
flush_seconds = 0.1
"""


def forms(secret: str) -> set[bytes]:
    """What a secret may look like in a file; base64 in the three ways it may fall within a longer text."""
    raw = secret.encode()
    texts = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), raw.hex(), raw.hex().upper()}
    texts |= {repr(secret)[1:-1], json.dumps(secret)[1:-1], secret.encode("unicode_escape").decode()}
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            # The first and last characters also depend on what stands beside it.
            whole = encode(b"\0" * offset + raw).decode().rstrip("=")
            texts.add(whole[-(-offset * 4 // 3) : -1])
    return {text.encode() for text in texts}


def leaks(written: dict[str, bytes]) -> list[str]:
    return [
        f"{name} of {whose} in {where}: ...{content[max(0, content.index(form) - 150) :][:200]!r}"
        for whose, secrets in (("right", RIGHT), ("wrong", IN_FILE), ("plain", IN_CLEAR))
        for name, secret in secrets.items()
        for form in forms(secret)
        for where, content in written.items()
        if form in content
    ]


def run(tmp_path: Path, script: str, *arguments: str) -> dict[str, bytes]:
    """Everything a process wrote: to its streams and into its folder."""
    package = tmp_path / "packages"
    installed = package / "teststore-1.0.dist-info"
    installed.mkdir(parents=True)
    (package / "teststore.py").write_text(STORE)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: teststore\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[tickhive.sinks]\nteststore = teststore:Store\n")
    given, out = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    out.mkdir()
    words, file, config = given / "words", given / "vault.toml", given / "tickhive.toml"
    words.write_text(RIGHT["passphrase"] + "\n", "utf-8")
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in IN_FILE.items()), "utf-8")
    paths = {"data_dir": out, "passphrase_file": words, "file": file, "sink": out / "events"}
    values = {**{name: str(path) for name, path in paths.items()}, **IN_CLEAR}
    config.write_text(CONFIG.format(**{name: json.dumps(value) for name, value in values.items()}), "utf-8")
    for path in (words, file, config):
        path.chmod(0o600)
    fixtures = Path(__file__).with_name("conftest.py")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")])),
        "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "VAULT_KEY": RIGHT["key"],
        "VAULT_SECRET": RIGHT["secret"],
        "VAULT_WORDS": RIGHT["passphrase"],
    }
    process = subprocess.run(
        [sys.executable, "-c", BEGIN + script, str(fixtures), str(config), *arguments],
        capture_output=True,
        cwd=out,
        env=environment,
        timeout=60,
        check=False,
    )
    written = {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*") if path.is_file()}
    return {"stdout": process.stdout, "stderr": process.stderr, **written}


@pytest.mark.parametrize("arguments", [("--debug",), ("--log-json",)], ids=str)
def test_the_command_line_writes_no_secret(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    written = run(tmp_path, COMMAND, *arguments)
    said = written["stderr"].decode()
    # What was to be provoked has happened, and says so without the secrets.
    assert b"ended with 0" in written["stdout"], said
    for words in (
        "the venue refused the credentials (bad login",
        "the environment variable VAULT_NOT_SET, which is to hold the secret, is not set",
        "cannot sign with ***",
        "a thread that knows ***",
        "RuntimeError: the process itself with ***",
        "answered 401",
        "the store is down",
    ):
        assert words in said, said
    assert b"Order(" in written["events"]
    assert b"account='right'" in written["events"]
    assert b"rejected" in written["events"] or b"SubscriptionUpdate(" in written["events"]
    assert any(name.startswith("spool") and b"right" in content for name, content in written.items())
    assert leaks(written) == []


def test_status_and_representations_hold_no_secret(tmp_path: Path) -> None:
    written = run(tmp_path, LIBRARY)
    shown = written["stdout"].decode()
    assert "the venue refused the credentials (bad login" in shown, written["stderr"].decode()
    assert "needs_operator" in shown
    assert leaks({name: content for name, content in written.items() if name != "stderr"}) == []
    # The application's own handlers print what they are given, tracebacks of its own threads excepted.
    assert leaks({"stderr": written["stderr"]}) == []
