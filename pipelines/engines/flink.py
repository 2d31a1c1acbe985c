"""The part of Flink's REST interface that a run needs: where its job is, how it does, and how it ends."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any, TypeVar

from pipelines.errors import EngineError

T = TypeVar("T")
#: How long one question may take, and how long the JobManager may be silent while it is asked for something.
_ASK_S = 20.0
_SILENT_S = 60.0
_LOOK_EVERY_S = 0.3
#: How long a savepoint may take, and what comes before or after: until all of a job runs, or none of it.
_SAVEPOINT_S = 600.0
_TURNS_S = 60.0
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
        self._wait(lambda: self._runs(job), _TURNS_S)
        trigger = self._ask("POST", f"/jobs/{job}/savepoints", {"cancel-job": True})["request-id"]
        operation = self._wait(lambda: self._operation(job, trigger), _SAVEPOINT_S)
        if operation is None:
            raise EngineError(
                f"{self._address}: the savepoint of job {job} takes more than {_SAVEPOINT_S:.0f} s"
            )
        if "location" in operation:
            return str(operation["location"])
        cause = operation.get("failure-cause", {}).get("stack-trace", "")
        why = next(iter(cause.splitlines()), "no reason given")
        raise EngineError(f"{self._address}: no savepoint of job {job}: {why}")

    def _runs(self, job: str) -> bool:
        vertices = self._ask("GET", f"/jobs/{job}").get("vertices", ())
        return all(vertex["status"] == "RUNNING" for vertex in vertices)

    def _operation(self, job: str, trigger: str) -> dict[str, Any] | None:
        answer = self._ask("GET", f"/jobs/{job}/savepoints/{trigger}")
        return dict(answer["operation"]) if answer["status"]["id"] == "COMPLETED" else None

    def cancel(self, job: str) -> None:
        """End the job and wait for it; what it had flushed stays."""
        self._ask("PATCH", f"/jobs/{job}?mode=cancel")
        self._wait(lambda: self.state(job) in ENDED, _TURNS_S)

    def _wait(self, look: Callable[[], T], seconds: float) -> T | None:
        """What is seen once there is something, or None; a JobManager that is busy may miss a question."""
        began = answered = time.monotonic()
        while (now := time.monotonic()) < began + seconds:
            try:
                if found := look():
                    return found
                answered = now
            except FlinkAway:
                if now > answered + _SILENT_S:
                    raise
            time.sleep(_LOOK_EVERY_S)
        return None

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
            # of the server's own: it is overloaded, or has no leader just now
            kind = FlinkAway if problem.code >= 500 else EngineError
            raise kind(f"{self._address}{path}: {problem.code} {reason}") from None
        except (OSError, json.JSONDecodeError) as problem:
            raise FlinkAway(f"{self._address} cannot be asked: {problem}") from None
