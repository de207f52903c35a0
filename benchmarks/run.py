"""Runs every measurement beside its peers, round by round, and prints tables of medians and ratios.

    python3 dev.py bench [--rounds N] [--quick] [--instructions]

Server and client run on different cores where the machine has two and the system can pin. Every figure is the client's
CPU time per message, whole process. Peers and tickhive alternate within a round, so that a machine whose speed drifts
drifts for all of them.
"""

from __future__ import annotations

import argparse
import array
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import frames as prepared

HERE = Path(__file__).resolve().parent

Figures = dict[str, Any]

COUNTING = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null")
"""Counts the instructions of a process: a figure that no neighbour on the machine changes."""


class Bench:
    """Starts servers and clients and collects what the clients print."""

    def __init__(self, peer_python: Path | None, rounds: int, quick: bool) -> None:
        self.peer_python = peer_python
        self.rounds = rounds
        self.scale = 0.2 if quick else 1.0
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        self.client_core = cores[0] if len(cores) > 1 else None
        self.server_core = cores[1] if len(cores) > 1 else None

    def once(
        self,
        client: str,
        scenario: str,
        messages: int,
        *flags: str,
        server: Sequence[str] = (),
        cryptofeed: bool = False,
    ) -> Figures:
        """Run one client against a fresh server; answers what it printed."""
        done = self.converse(client, scenario, messages, *flags, server=server, cryptofeed=cryptofeed)
        figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
        return figures

    def converse(
        self,
        client: str,
        scenario: str,
        messages: int,
        *flags: str,
        server: Sequence[str] = (),
        cryptofeed: bool = False,
        under: Sequence[str] = (),
    ) -> subprocess.CompletedProcess[str]:
        """Run one client against a fresh server to its end; ``under`` is a command that watches it."""
        python = str(self.peer_python) if cryptofeed else sys.executable
        serve = [sys.executable, str(HERE / "server.py"), scenario, str(messages), *server, *_core(self.server_core)]
        with subprocess.Popen(serve, stdout=subprocess.PIPE, text=True) as venue:
            try:
                assert venue.stdout is not None
                port = venue.stdout.readline().strip()
                run = [
                    *under,
                    python,
                    str(HERE / client),
                    scenario,
                    str(messages),
                    port,
                    *flags,
                    *_core(self.client_core),
                ]
                done = subprocess.run(run, capture_output=True, text=True, timeout=300, check=False)
            finally:
                venue.kill()
        if done.returncode != 0:
            raise SystemExit(f"{client} failed on {scenario}:\n{done.stderr[-2000:]}")
        return done

    def compare(self, title: str, messages: int, contenders: dict[str, Sequence[str]], scenario: str) -> None:
        """Alternate the contenders for all rounds and print their medians; the first is the one compared."""
        taken: dict[str, list[float]] = {name: [] for name in contenders}
        walls: dict[str, list[float]] = {name: [] for name in contenders}
        for _ in range(self.rounds):
            for name, (client, *flags) in contenders.items():
                if client == "client_cryptofeed.py" and self.peer_python is None:
                    continue
                figures = self.once(
                    client, scenario, int(messages * self.scale), *flags, cryptofeed=client == "client_cryptofeed.py"
                )
                taken[name].append(figures["cpu_us"])
                walls[name].append(figures["wall_us"])
        ours = statistics.median(next(iter(taken.values())))
        print(f"\n{title}\n  {'':34}{'CPU µs/msg':>12}{'wall µs/msg':>13}{'times ours':>12}")
        for name, values in taken.items():
            if values:
                cpu, wall = statistics.median(values), statistics.median(walls[name])
                print(f"  {name:34}{cpu:12.2f}{wall:13.2f}{cpu / ours:11.1f}x")
            else:
                print(f"  {name:34}{'not installed':>12}")

    def payloads(self) -> None:
        """Show that the fast transport hands out what ``recv()`` does, byte for byte."""
        messages = 5_000
        hashes = {
            client: self.once(client, "books", messages, "--digest")["digest"]
            for client in ("client_transport.py", "client_recv.py")
        }
        same = len(set(hashes.values())) == 1
        print(f"\nPayloads of {messages} messages, fast transport and recv(): {'identical' if same else 'DIFFERENT'}")
        if not same:
            raise SystemExit(f"the transport changed what was sent: {hashes}")

    def instructions(self, title: str, scenario: str, messages: int, *flags: str) -> None:
        """Print the instructions per message of tickhive and its peer: what two runs of different length differ by."""
        print(f"\n{title}\n  {'':34}{'instructions/msg':>18}{'times ours':>12}")
        ours = None
        for name, client in (("tickhive", "client_tickhive.py"), ("cryptofeed 2.4.1", "client_cryptofeed.py")):
            cryptofeed = client == "client_cryptofeed.py"
            if cryptofeed and self.peer_python is None:
                continue
            few, many = (
                _instructions(self.converse(client, scenario, count, *flags, cryptofeed=cryptofeed, under=COUNTING))
                for count in (messages, 3 * messages)
            )
            each = (many - few) / (2 * messages)
            ours = ours or each
            print(f"  {name:34}{each:18,.0f}{each / ours:11.1f}x", flush=True)

    def latency(self, pace: int) -> None:
        """99th percentile from the server's write to the callback, at a fixed pace."""
        messages = int(pace * 10 * self.scale)
        print(f"\nLatency at {pace} msg/s paced, trades, µs from the server's write to the callback")
        print(f"  {'':34}{'median':>12}{'99th':>13}")
        contenders = {
            "tickhive": "client_tickhive.py",
            "websockets recv()": "client_recv.py",
            "cryptofeed 2.4.1": "client_cryptofeed.py",
        }
        for name, client in contenders.items():
            if client == "client_cryptofeed.py" and self.peer_python is None:
                continue
            middle, tail = [], []
            for _ in range(self.rounds):
                with tempfile.TemporaryDirectory() as folder:
                    sent, arrived = f"{folder}/sent", f"{folder}/arrived"
                    self.once(
                        client, "trades", messages, "--latencies", arrived,
                        server=("--pace", str(pace), "--times", sent), cryptofeed=client == "client_cryptofeed.py",
                    )  # fmt: skip
                    delays = sorted(b - a for a, b in zip(_times(sent), _times(arrived), strict=False))
                middle.append(delays[len(delays) // 2] / 1000)
                tail.append(delays[int(len(delays) * 0.99)] / 1000)
            print(f"  {name:34}{statistics.median(middle):12.0f}{statistics.median(tail):13.0f}")

    def memory(self) -> None:
        """Resident memory with 100 live books of 400 levels a side."""
        figures = self.once("client_tickhive.py", "memory", 3_000, "--symbols", "100")
        print(f"\nMemory with 100 live books of 400 levels a side, no sinks: {figures['rss_mb']:.1f} MB resident")

    def imports(self) -> None:
        """Import time of the package and of the command line's help, median of the rounds."""
        print("\nStart-up, wall ms of a whole process")
        runs = {
            "python -c pass": ["-c", "pass"],
            "import tickhive": ["-c", "import tickhive"],
            "import tickhive.ExchangeFactory": ["-c", "from tickhive import ExchangeFactory"],
            "tickhive --help": ["-m", "tickhive.cli", "--help"],
        }
        for name, arguments in runs.items():
            taken = [_wall_ms([sys.executable, *arguments]) for _ in range(max(3, self.rounds))]
            print(f"  {name:34}{statistics.median(taken):12.0f}")


def _core(core: int | None) -> list[str]:
    return [] if core is None else ["--core", str(core)]


def _instructions(done: subprocess.CompletedProcess[str]) -> int:
    """What the watching command counted."""
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if found is None:
        raise SystemExit(f"valgrind counted nothing:\n{done.stderr[-2000:]}")
    return int(found[1].replace(",", ""))


def _times(path: str) -> array.array[int]:
    times = array.array("q")
    times.frombytes(Path(path).read_bytes())
    return times


def _wall_ms(command: Sequence[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a fifth of the messages")
    parser.add_argument("--instructions", action="store_true", help="count instructions instead (needs valgrind)")
    parser.add_argument("--peer-python", type=Path, help="the interpreter of an environment with cryptofeed 2.4.1")
    chosen = parser.parse_args()
    if not prepared.RECORDING.exists():
        raise SystemExit(
            "the benchmarks need the recorded traffic beside the checkout (shared/data), which is not there"
        )
    bench = Bench(chosen.peer_python, chosen.rounds, chosen.quick)
    if chosen.instructions:
        if shutil.which(COUNTING[0]) is None:
            raise SystemExit("--instructions needs valgrind, which is not installed (Debian: apt install valgrind)")
        bench.instructions("Socket to callback, trades with Decimal prices", "trades", 4_000)
        bench.instructions("The same with no two prices or sizes alike", "fresh", 4_000)
        bench.instructions("Trades and live books, checksums off", "books", 2_000)
        bench.instructions("Trades and live books, checksums verified", "books", 2_000, "--checksums")
        return
    peer, bare = "cryptofeed 2.4.1", "websockets recv(), nothing else"
    bench.payloads()
    bench.compare(
        "Fast transport beside recv(), trades",
        400_000,
        {"tickhive transport": ["client_transport.py"], bare: ["client_recv.py"]},
        "trades",
    )
    bench.compare(
        "Socket to callback, trades with Decimal prices",
        200_000,
        {"tickhive": ["client_tickhive.py"], peer: ["client_cryptofeed.py"], bare: ["client_recv.py"]},
        "trades",
    )
    bench.compare(
        "The same with no two prices or sizes alike, so that no remembered number helps",
        100_000,
        {"tickhive": ["client_tickhive.py"], peer: ["client_cryptofeed.py"], bare: ["client_recv.py"]},
        "fresh",
    )
    bench.compare(
        "Socket to callback, trades and live books, checksums off on both sides, books unread",
        60_000,
        {"tickhive": ["client_tickhive.py"], peer: ["client_cryptofeed.py"], bare: ["client_recv.py"]},
        "books",
    )
    bench.compare(
        "Socket to callback, trades and live books, checksums verified on both sides",
        60_000,
        {
            "tickhive": ["client_tickhive.py", "--checksums"],
            peer: ["client_cryptofeed.py", "--checksums"],
            bare: ["client_recv.py"],
        },
        "books",
    )
    bench.latency(5_000)
    bench.memory()
    bench.imports()


if __name__ == "__main__":
    main()
