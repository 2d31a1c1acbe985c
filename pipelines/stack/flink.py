"""The part ``flink``: JobManager, TaskManager, Beam's job server and the pool of Python workers.

One TaskManager has one pool: it numbers its workers from one, and a pool knows them by that number.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.stack.jars import jars, java
from pipelines.stack.ports import HOST, Ports, address, get, listens
from pipelines.stack.process import Process

_TASK_MANAGER = "taskmanager-0"
_SLOTS = max(2, min(4, os.cpu_count() or 2))
_LOG = ("-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS")
#: What Flink reaches into the JDK for, as its own start scripts open it.
_OPEN = (
    "java.lang",
    "java.net",
    "java.io",
    "java.nio",
    "sun.nio.ch",
    "java.lang.reflect",
    "java.text",
    "java.time",
    "java.util",
    "java.util.concurrent",
    "java.util.concurrent.atomic",
    "java.util.concurrent.locks",
)
#: A worker's memory: of many threads each would have a heap of its own, which keeps what it once took;
#: and once a large block was given back, all up to its size would be cut from a heap.
_HEAP = {
    "MALLOC_ARENA_MAX": "2",
    "MALLOC_MMAP_THRESHOLD_": str(256 << 10),
    "MALLOC_TRIM_THRESHOLD_": str(32 << 20),
}
_EXPORT = ("java.base/sun.net.util", "java.rmi/sun.rmi.registry", "java.security.jgss/sun.security.krb5")


def options(ports: Ports) -> list[str]:
    """What a Beam pipeline needs to run here."""
    return [
        f"--flink_master={address(ports.flink_rest)}",
        f"--job_endpoint={address(ports.job_server)}",
        f"--artifact_endpoint={address(ports.job_artifacts)}",
        "--environment_type=EXTERNAL",
        f"--environment_config={address(ports.worker_pool)}",
    ]


def processes(folder: Path, ports: Ports) -> list[Process]:
    """The cluster and what Beam needs beside it; checkpoints and savepoints under ``folder/flink``."""
    home = folder / "flink"
    entry = "org.apache.flink.runtime"
    configured = ("--configDir", str(home))
    submits = (
        *("--job-host", HOST, "--job-port", str(ports.job_server)),
        *("--artifact-port", str(ports.job_artifacts), "--expansion-port", str(ports.job_expansion)),
        *("--flink-master", address(ports.flink_rest), "--flink-conf-dir", str(home)),
    )
    pool = [sys.executable, "-m", "pipelines.stack.pool", f"--port={ports.worker_pool}"]

    def prepare() -> None:
        _prepare(home, ports)

    def prepare_tasks() -> None:
        # the working state of one that was killed; checkpoints are elsewhere
        shutil.rmtree(home / "tmp" / f"tm_{_TASK_MANAGER}", ignore_errors=True)
        prepare()
        _compile_patch(home)

    return [
        Process(
            name="jobmanager",
            part="flink",
            command=_java(512, f"{entry}.entrypoint.StandaloneSessionClusterEntrypoint", *configured),
            address=address(ports.flink_rest),
            healthy=lambda: get(ports.flink_rest, "/overview") is not None,
            prepare=prepare,
        ),
        Process(
            name=_TASK_MANAGER,
            part="flink",
            command=_java(
                640, f"{entry}.taskexecutor.TaskManagerRunner", *configured, direct=320, first=_patch(home)
            ),
            address=address(ports.flink_tasks),
            healthy=lambda: listens(ports.flink_tasks) and _registered(ports.flink_rest),
            prepare=prepare_tasks,
        ),
        Process(
            name="job-server",
            part="flink",
            command=_java(512, _job_server(), *submits),
            address=address(ports.job_server),
            healthy=lambda: listens(ports.job_server),
            prepare=prepare,
        ),
        Process(
            name="worker-pool-0",
            part="flink",
            command=pool,
            address=address(ports.worker_pool),
            healthy=lambda: listens(ports.worker_pool),
            environment={"OMP_NUM_THREADS": "1", **_HEAP},
        ),
    ]


def _job_server() -> str:
    # a source file needs a JDK; with a mere JRE a submission takes its time
    source = str(Path(__file__).parent / "JobServer.java")
    return source if shutil.which("javac") else "org.apache.beam.runners.flink.FlinkJobServerDriver"


def _patch(home: Path) -> Path:
    return home / "patch"


def _compile_patch(home: Path) -> None:
    """The class that the TaskManager loads in the place of Beam's, whose states never end (it says how)."""
    compiler = shutil.which("javac")
    if not compiler or _patch(home).is_dir():
        return
    source = Path(__file__).parent / "BundleCheckpointHandlers.java"
    with TemporaryDirectory(dir=home) as partial:
        classes = Path(partial) / "classes"
        subprocess.run(  # noqa: S603
            [compiler, "-d", str(classes), "-cp", str(jars("flink") / "*"), str(source)], check=True
        )
        classes.rename(_patch(home))


def _java(
    heap: int, main: str, *arguments: str, direct: int | None = None, first: Path | None = None
) -> list[str]:
    opened = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in _OPEN]
    exported = [f"--add-exports={package}=ALL-UNNAMED" for package in _EXPORT]
    # whoever merely directs starts sooner without Java's second compiler, and has no use for it later
    limits = [f"-Xmx{heap}m", f"-XX:MaxDirectMemorySize={direct}m" if direct else "-XX:TieredStopAtLevel=1"]
    classes = ":".join([*([str(first)] if first else ()), str(jars("flink") / "*")])
    return [java(), *opened, *exported, *limits, "-XX:+UseSerialGC", *_LOG, "-cp", classes, main, *arguments]


def _registered(rest: int) -> bool:
    answer = get(rest, "/taskmanagers")
    known = json.loads(answer)["taskmanagers"] if answer else []
    return any(one["id"] == _TASK_MANAGER for one in known)


def _prepare(home: Path, ports: Ports) -> None:
    for name in ("checkpoints", "savepoints", "tmp"):
        (home / name).mkdir(parents=True, exist_ok=True)
    # JSON is YAML
    (home / "config.yaml").write_text(json.dumps(_settings(home, ports), indent=2, sort_keys=True) + "\n")


def _settings(home: Path, ports: Ports) -> dict[str, object]:
    return {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": ports.flink_rpc,
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.process.size": "1g",
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": ports.flink_rest,
        "blob.server.port": ports.flink_blob,
        "taskmanager.resource-id": _TASK_MANAGER,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.data.port": ports.flink_tasks,
        # any: of one that begins anew where a killed one was, the JobManager may take no word for minutes
        # (Pekko discards them, its association with the old one being read-only)
        "taskmanager.rpc.port": 0,
        "taskmanager.numberOfTaskSlots": _SLOTS,
        # as its start script would work it out; the heaps' sum is the JVM's -Xmx
        "taskmanager.cpu.cores": float(_SLOTS),
        "taskmanager.memory.framework.heap.size": "128m",
        "taskmanager.memory.task.heap.size": "512m",
        "taskmanager.memory.framework.off-heap.size": "128m",
        "taskmanager.memory.task.off-heap.size": "64m",
        "taskmanager.memory.network.min": "128m",
        "taskmanager.memory.network.max": "128m",
        "taskmanager.memory.managed.size": "256m",
        "taskmanager.memory.jvm-metaspace.size": "256m",
        "taskmanager.memory.jvm-overhead.min": "192m",
        "taskmanager.memory.jvm-overhead.max": "192m",
        "io.tmp.dirs": str(home / "tmp"),
        "parallelism.default": 1,
        # a TaskManager that was up before the JobManager looks for it again after a second, not ten
        "cluster.registration.error-delay": 1000,
        # ms for which the REST interface gives the same answer again, and the same meters: whoever waits for
        # the end of a job, or for what it tells, would wait for these
        "web.refresh-interval": 200,
        "metrics.fetcher.update-interval": 1000,
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 10000,
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": 1_000_000,
        "restart-strategy.fixed-delay.delay": "1 s",
        "state.backend.type": "rocksdb",
        "state.backend.incremental": True,
        "state.checkpoints.dir": (home / "checkpoints").as_uri(),
        "state.checkpoints.num-retained": 2,
        "state.savepoints.dir": (home / "savepoints").as_uri(),
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
    }
