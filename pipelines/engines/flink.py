"""The part of Flink's REST interface that a run needs: where its job is, how it does, and how it ends."""

import json
import time
import urllib.error
import urllib.request
from typing import Any

from pipelines.errors import EngineError

#: How long one question may take, and how long a savepoint.
_ASK_S = 10.0
_SAVEPOINT_S = 600.0
#: How long a job that is to be stopped may take until all of it runs.
_BEGINS_S = 60.0
#: States in which a job will do nothing more.
ENDED = frozenset({"FINISHED", "CANCELED", "FAILED"})


class FlinkAway(EngineError):
    """The JobManager does not answer now; the job may be well."""


class Flink:
    """One cluster. What it refuses is `EngineError`, being out of reach `FlinkAway`."""

    def __init__(self, address: str) -> None:
        self._address = address if "://" in address else f"http://{address}"

    def find(self, name: str) -> str | None:
        """Id of the latest job of that name."""
        jobs = [job for job in self._ask("GET", "/jobs/overview")["jobs"] if job["name"] == name]
        return str(max(jobs, key=lambda job: job["start-time"])["jid"]) if jobs else None

    def state(self, job: str) -> str:
        """``RUNNING``, ``RESTARTING``, one of `ENDED` and so on."""
        return str(self._ask("GET", f"/jobs/{job}")["state"])

    def failure(self, job: str) -> str:
        """The root of what the job failed with, in one line."""
        told = self._ask("GET", f"/jobs/{job}/exceptions").get("root-exception") or "no reason given"
        causes = [line for line in told.splitlines() if line and not line.startswith(("\t", " "))]
        return " ".join((causes or [told])[-1].split())[:1000]

    def checkpoints(self, job: str) -> int:
        """How many checkpoints were completed."""
        return int(self._ask("GET", f"/jobs/{job}/checkpoints")["counts"]["completed"])

    def kept(self, job: str) -> str:
        """Where its last checkpoint is that outlives a cancelled job; empty where there is none."""
        checkpoints = f"/jobs/{job}/checkpoints"
        if self._ask("GET", f"{checkpoints}/config")["externalization"]["delete_on_cancellation"]:
            return ""
        last = self._ask("GET", checkpoints)["latest"]["completed"] or {}
        return str(last.get("external_path", ""))

    def savepoint(self, job: str) -> str:
        """Stop the job with a savepoint; where that is. The job runs on if none could be taken.

        One that only begins, or is restarting, is waited for a while: Flink takes none before all of it runs.
        """
        until = time.monotonic() + _BEGINS_S
        while not self._runs(job) and time.monotonic() < until:
            time.sleep(0.3)
        trigger = self._ask("POST", f"/jobs/{job}/savepoints", {"cancel-job": True})["request-id"]
        until = time.monotonic() + _SAVEPOINT_S
        while time.monotonic() < until:
            answer = self._ask("GET", f"/jobs/{job}/savepoints/{trigger}")
            if answer["status"]["id"] == "COMPLETED":
                operation = answer["operation"]
                if "location" in operation:
                    return str(operation["location"])
                cause = operation.get("failure-cause", {}).get("stack-trace", "")
                why = next(iter(cause.splitlines()), "no reason given")
                raise EngineError(f"{self._address}: no savepoint of job {job}: {why}")
            time.sleep(0.3)
        raise EngineError(f"{self._address}: the savepoint of job {job} takes more than {_SAVEPOINT_S:.0f} s")

    def _runs(self, job: str) -> bool:
        vertices = self._ask("GET", f"/jobs/{job}").get("vertices", ())
        return all(vertex["status"] == "RUNNING" for vertex in vertices)

    def cancel(self, job: str, timeout_s: float = 60.0) -> None:
        """End the job and wait for it; what it had flushed stays."""
        self._ask("PATCH", f"/jobs/{job}?mode=cancel")
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and self.state(job) not in ENDED:
            time.sleep(0.2)

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(  # noqa: S310
            self._address + path, data, {"Content-Type": "application/json"}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=_ASK_S) as answer:  # noqa: S310
                return json.loads(answer.read() or b"{}")
        except urllib.error.HTTPError as problem:
            reason = problem.read().decode(errors="replace")[:500]
            raise EngineError(f"{self._address}{path}: {problem.code} {reason}") from None
        except (OSError, json.JSONDecodeError) as problem:
            raise FlinkAway(f"{self._address} cannot be asked: {problem}") from None
