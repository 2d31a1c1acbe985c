"""``make bench-faults``: kill, stop, starve and mislead real processes under load; compare with a calm run.

Each run feeds a fixed recording to Kafka over some seconds while an engine follows it, strikes at moments
drawn from the seed, lets the engine finish, and holds what came of it to the undisturbed run of the
in-process loop: events published and stored, rows raw and by key, dead letters, accounts, offsets. The time
to restore is from the strike until the store has a bucket that began after it.
"""

import argparse
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.reliability import RUNS, recorded
from benchmarks.reliability.outcome import IDLE_S, Outcome, differences, of_files
from benchmarks.reliability.place import PARTS, FaultError, Place
from benchmarks.reliability.recorded import Record
from operators.settings import Windows
from pipelines.stack import Stack

ENGINES = ("local", "faust", "flink")
#: Seconds over which each piece of the recording is fed.
FEED_S = 5.0
#: How much later (ms of event time) a window that begins next is closed: start, length, lateness, a bucket.
CLOSED_MS = 1000 * (2 * Windows().detect_s + Windows().lateness_s + Windows().bucket_s)
#: Strikes of one run that kills one part: starting a job on Flink takes long, so it is struck more often.
STRIKES = {"local": 1, "faust": 1, "flink": 3}
#: Each part that an engine has once, in an order drawn from the seed.
KILL_EACH = "kill each"
KILLED = {
    "kill engine": ("local", "faust"),
    "kill taskmanager-0": ("flink",),
    "kill worker-pool-0": ("flink",),
    "kill job-server": ("flink",),
    "kill kafka": ENGINES,
    "kill clickhouse": ENGINES,
}
#: For how long each is away or frozen.
AWAY = {"kafka away 60 s": 60.0, "clickhouse away 60 s": 60.0, "clickhouse frozen 30 s": 30.0}
STORE = {"clickhouse refuses": ("local", "faust"), "clickhouse disk full": ENGINES}
MISLED = ("poison", "clock +90 s", "clock -1 h", "partition stalls")
#: What there are figures of, and for which engines.
KINDS: dict[str, Sequence[str]] = {**KILLED, **dict.fromkeys((*MISLED, *AWAY), ENGINES), **STORE}


@cache
def calm_contract(idle_s: int = IDLE_S) -> tuple[list[Record], Outcome]:
    """The contract's recording and what the loop makes of it."""
    records = recorded.contract()
    return records, _calm(records, idle_s)


def _calm(records: Sequence[Record], idle_s: int = IDLE_S) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return of_files(records, Path(folder), idle_s=idle_s)


class Run:
    """One run of one engine under one kind of fault, struck so many times at moments drawn from the seed."""

    def __init__(
        self,
        stack: Stack,
        engine: str,
        kind: str,
        seed: int,
        folder: Path,
        strikes: int | None = None,
        idle_s: int = IDLE_S,
        feed_s: float = FEED_S,
    ) -> None:
        self.stack, self.engine, self.kind, self._idle_s, self._feed_s = stack, engine, kind, idle_s, feed_s
        self.random = random.Random(f"{kind} {seed}")
        self.name = f"run_{engine}_{seed}_{''.join(c for c in kind if c.isalnum())}"
        self.folder = folder / f"{self.name}-{time.time_ns()}"
        self.strikes = strikes or (STRIKES[engine] if kind in KILLED else 1)
        self._parts = kind.removeprefix("kill ").split(", ")
        if kind == KILL_EACH:
            self._parts = [each.removeprefix("kill ") for each, where in KILLED.items() if engine in where]
            self.random.shuffle(self._parts)
            self.strikes = len(self._parts)
        self.killed: list[str] = []
        self.restored: list[float] = []
        self.notes: dict[str, Any] = {}

    def measure(self) -> list[str]:
        """Run it; what was wrong."""
        self.stack.up(*PARTS[self.engine])
        if self.kind in MISLED:
            return self._mislead()
        records, wanted = calm_contract(self._idle_s)
        self.place = Place(self.stack, self.engine, self.name, records, self.folder, idle_s=self._idle_s)
        cuts = [len(records) * n // (self.strikes + 1) for n in range(self.strikes + 2)]
        pieces = [records[a:b] for a, b in pairwise(cuts)]
        try:
            self._begin(pieces[0])
            for piece in pieces[1:]:
                self._struck(piece)
            found, fed = self.place.finish(), self.place.fed()
            if len(fed) != len(records):
                self.notes["fed_more"] = len(fed) - len(records)
                wanted = _calm(fed, self._idle_s)
            return self._compare(found, wanted)
        finally:
            self.place.close()

    def _begin(self, records: Sequence[Record]) -> None:
        """Follow, and be seen to."""
        self.place.start()
        self.place.feed(records, 1.0).done(disturbed=False)
        self.place.wait_until(self.place.reached, "the first bucket")

    def _struck(self, records: Sequence[Record]) -> None:
        feed = self.place.feed(records, self._feed_s)
        time.sleep(self.random.uniform(0.1, 0.6) * self._feed_s)
        # whoever wakes late finds all of it sent: what follows has to close the window waited for
        at_ms = min(feed.time_ms, records[-1].time_ms - CLOSED_MS)
        struck = time.monotonic()
        self._strike()
        self.place.wait_until(lambda: self.place.reached() >= at_ms, "progress after the strike")
        self.restored.append(round(time.monotonic() - struck, 1))
        feed.done()

    def _strike(self) -> None:
        """Do it, and undo it."""
        pause = self.random.uniform(0.0, 0.4 * self._feed_s)
        verb = self.kind.split()[0]
        if verb == "kill":
            self._kill(self._parts[len(self.killed) % len(self._parts)], pause)
        elif self.kind == "clickhouse frozen 30 s":
            pid = next(one.pid for one in self.stack.status() if one.name == "clickhouse")
            os.kill(pid or 0, signal.SIGSTOP)
            time.sleep(AWAY[self.kind])
            os.kill(pid or 0, signal.SIGCONT)
        elif self.kind in AWAY:
            self.stack.kill(verb)
            time.sleep(AWAY[self.kind])
            self.stack.start(verb)
        elif self.kind == "clickhouse disk full":
            with _full(self.stack.folder / "clickhouse"):
                time.sleep(10)
        elif self.kind == "clickhouse refuses":
            self._refuse()

    def _kill(self, part: str, pause: float) -> None:
        self.killed.append(part)
        if part == "engine":
            self.place.kill()
            time.sleep(pause)
            self.place.start(loaded=False)
        else:
            self.stack.kill(part)
            time.sleep(pause)
            self.stack.start(part)

    def _refuse(self) -> None:
        """From now on the server wants a password: the run has to say so, and the loop to end."""
        self.stack.kill("clickhouse")
        os.environ["DRIFTLINE_CLICKHOUSE_PASSWORD"] = "another"
        try:
            self.stack.start("clickhouse")
        finally:
            del os.environ["DRIFTLINE_CLICKHOUSE_PASSWORD"]
        if self.engine == "faust":  # a worker stays, reads nothing, and says why every ten seconds
            self.place.wait_until(lambda: "AUTHENTICATION_FAILED" in self.place.words(), "a word of it")
        else:
            with suppress(FaultError):  # which tells that it has ended
                self.place.wait_until(lambda: False, "the end of a run that is refused")
            if self.place.running:
                raise FaultError("a run that is refused does not end")
        self.notes["last_words"] = self.place.words()
        self.stack.kill("clickhouse")
        self.stack.start("clickhouse")
        if not self.place.running:
            self.place.start()

    def _mislead(self) -> list[str]:
        """Input that is wrong by itself: what comes of it is known beforehand."""
        seed = self.random.randrange(1 << 30)
        if self.kind == "partition stalls":
            return self._stall()
        if self.kind == "poison":
            records, count = recorded.poisoned(seed)
            found = self._through(records)
            said = [each for each in differences(found, calm_contract()[1]) if not each.startswith("dead")]
            wanted = len(calm_contract()[1].dead) + count
            return said + ([] if len(found.dead) == wanted else [f"{len(found.dead)} dead for {wanted}"])
        by_ms = 90_000 if self.kind == "clock +90 s" else -3_600_000
        records, producer, moved = recorded.clock_jump(by_ms, seed)
        found = self._through(records)
        said = self._compare(found, _calm(records))
        late = 0 if by_ms > 0 else moved
        return said + self._faults(found, late, producer)

    def _through(self, records: Sequence[Record]) -> Outcome:
        self.place = Place(self.stack, self.engine, self.name, records, self.folder)
        try:
            feed = self.place.feed(records, self._feed_s)
            self.place.start()
            feed.done()
            self.place.wait_until(self.place.reached, "the first bucket")
            found = self.place.finish()
            behind = self.place.lag()
            return found if not behind else self._behind(behind)
        finally:
            self.place.close()

    def _behind(self, behind: dict[str, int]) -> Outcome:
        raise FaultError(f"offsets: {behind} are not committed")

    def _stall(self) -> list[str]:
        """One partition brings nothing for 5 minutes of event time and a minute of ours, then all of it."""
        records = list(recorded.calm())
        since = recorded.START_MS + self.random.randrange(20, 30) * 60_000
        until = since + 300_000
        before = [record for record in records if record.time_ms < since]
        other = [r for r in records if since <= r.time_ms < until and r.partition == 0]
        burst = [r for r in records if since <= r.time_ms < until and r.partition == 1]
        after = [record for record in records if record.time_ms >= until]
        newest: dict[str, int] = {}
        for record in other:
            newest[json.loads(record.value)["producer"]] = record.time_ms
        time_ms = sorted(newest.values())[(len(newest) - 1) // 2]
        closed = (time_ms - 30_000) // 10_000 * 10_000
        late = sum(record.time_ms < closed for record in burst)
        window = closed // 60_000 * 60_000 - 60_000  # the last one that is over without the burst
        self.place = Place(self.stack, self.engine, self.name, records, self.folder)
        try:
            self._begin(before)
            for records_, seconds in ((other, 2.0), (burst, 1.0), (after, 2.0)):
                self.place.feed(records_, seconds).done()
                if records_ is other:
                    self.place.wait_until(lambda: self.place.reached() >= window, "idleness")
                    time.sleep(2)
            found = self.place.finish()
            self.notes["late"] = late
            return self._faults(found, late, "")
        finally:
            self.place.close()

    def _faults(self, found: Outcome, late: int, producer: str) -> list[str]:
        """Whether there are telemetry faults of a wrong clock alone, no other events, and as many late."""
        told = [
            {name: event[name] for name in ("symptom", "kind", "severity", "signal", "statistic")}
            for event in found.events
        ]
        self.notes["events"] = told
        said = []
        others = [event for event in told if event["symptom"] != "telemetry_fault"]
        if others:
            said.append(f"{len(others)} events that are no telemetry fault, such as {others[0]}")
        if bool(told) != bool(producer):
            said.append(f"{len(told)} telemetry faults told")
        if producer and not all(producer in str(event) for event in found.events):
            said.append(f"an event that does not name {producer}")
        accounts = found.stored if self.engine == "flink" else found.accounts
        counted = sum(account["late"] for account in accounts.values())
        if self.engine == "local":
            counted = sum(account["late"] for account in found.stored.values())
        if counted != late:
            said.append(f"{counted} late for {late}")
        return said

    def _compare(self, found: Outcome, wanted: Outcome) -> list[str]:
        said = differences(found, wanted)
        if self.engine == "faust":
            accounts = found.accounts
        elif self.engine == "flink" or "engine" not in self.killed:
            accounts = found.stored
        else:
            accounts = wanted.accounts  # the loop counts anew what it reads anew
        for topic in sorted(accounts.keys() | wanted.accounts.keys()):
            if accounts.get(topic) != wanted.accounts.get(topic):
                said.append(f"accounts of {topic}: {accounts.get(topic)} for {wanted.accounts.get(topic)}")
        doubled = found.dead - wanted.dead
        broker = "kafka" in self.killed or self.kind.startswith("kafka")
        again = self.engine == "flink" or self.place.runs > 2 or broker
        if doubled and not again:  # dead letters are at least once where a run or the broker begins again
            said.append(f"{doubled.total()} dead letters twice")
        behind = self.place.lag() if self.kind not in MISLED else {}
        if behind:
            said.append(f"offsets: {behind} are not committed")
        return said


@contextmanager
def _full(disk: Path) -> Iterator[None]:
    ballast = disk / "ballast"
    try:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"0" * 65_536):
                pass
        yield
    finally:
        ballast.unlink()


def _small_disk(folder: Path) -> bool:
    """A disk of its own for the store, where this namespace may mount one."""
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(folder)]
    return subprocess.run(mount, check=False, capture_output=True).returncode == 0


def plan(engines: Sequence[str], kinds: Sequence[str]) -> list[tuple[str, str]]:
    """Engine and kind of each run of one seed; unasked, one run kills all that else has runs of its own."""
    every: dict[str, Sequence[str]] = {KILL_EACH: ENGINES, **KINDS}
    unknown = [kind for kind in kinds if kind not in every]
    if unknown:
        raise SystemExit(f"unknown fault {unknown[0]!r}; there are: {', '.join(every)}")
    chosen = kinds or [kind for kind in every if kind not in KILLED]
    return [(engine, kind) for engine in engines for kind in chosen if engine in every[kind]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; one line of JSON a run. 1 if any failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability.faults", description=__doc__)
    parser.add_argument("--engine", action="append", choices=ENGINES, help="default: all")
    parser.add_argument("--kind", action="append", help="of fault; default: all, kills in one run")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--once", type=int, default=3, help="seeds of what takes a minute or more")
    parser.add_argument("--until", help="begin no run after this time of day, HH:MM")
    parser.add_argument("--out", type=Path, default=RUNS)
    asked = parser.parse_args(arguments)
    logging.basicConfig(level=logging.ERROR)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="driftline-faults-"))
    small = _small_disk(folder / "stack" / "clickhouse")
    stack = Stack(folder / "stack")
    failed = 0
    try:
        for seed in range(asked.first, asked.first + asked.seeds):
            for engine, kind in plan(asked.engine or ENGINES, asked.kind or ()):
                long = kind in AWAY or kind == "partition stalls"
                if (long and seed >= asked.first + asked.once) or (
                    kind == "clickhouse disk full" and not small
                ):
                    continue
                if asked.until and datetime.now().strftime("%H:%M") >= asked.until:  # noqa: DTZ005
                    return int(failed > 0)
                line = one(Run(stack, engine, kind, seed, folder), seed)
                failed += not line["passed"]
                with asked.out.open("a") as file:
                    file.write(json.dumps(line, default=str) + "\n")
                print(json.dumps(line, default=str), flush=True)
        return int(failed > 0)
    finally:
        stack.down()
        if small:
            subprocess.run(["umount", str(folder / "stack" / "clickhouse")], check=False)
        if not failed:
            shutil.rmtree(folder, ignore_errors=True)


def one(run: Run, seed: int) -> dict[str, Any]:
    """The line of one run."""
    began = time.monotonic()
    try:
        said = run.measure()
    except Exception as problem:
        said = [f"{type(problem).__name__}: {problem}"[:600]]
        with suppress(Exception):
            run.stack.down(*PARTS[run.engine])
    return {
        "engine": run.engine,
        "kind": run.kind,
        "seed": seed,
        "passed": not said,
        "said": said,
        **({"killed": run.killed} if run.kind == KILL_EACH else {}),
        "restore_s": run.restored,
        **run.notes,
        "took_s": round(time.monotonic() - began, 1),
        "load_average": round(os.getloadavg()[1], 1),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "log": str(run.folder),
    }


if __name__ == "__main__":
    sys.exit(main())
