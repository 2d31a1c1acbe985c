"""Start and stop Python workers of Beam: what its pool and the SDK image's ``boot`` do, without staging.

Code is not shipped: a worker has the same installation as the pipeline. Source of the contracts: Beam's
``BeamFnExternalWorkerPool`` and ``container_executable``, ``beam_provision_api``.
"""
# mypy: allow-untyped-calls

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any

import grpc
from apache_beam.portability.api import beam_fn_api_pb2 as worker_messages
from apache_beam.portability.api import beam_fn_api_pb2_grpc as worker_services
from apache_beam.portability.api import beam_provision_api_pb2 as messages
from apache_beam.portability.api import beam_provision_api_pb2_grpc as services
from apache_beam.portability.api import endpoints_pb2 as endpoints
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

from pipelines.stack.ports import address

#: The runner waits for its worker without an end: one that gave up too soon would leave it waiting.
_ANSWERS_S = 600
#: How long a worker may take to end that was told to.
_ENDS_S = 10.0


class _Pool(worker_services.BeamFnExternalWorkerPoolServicer):
    """Workers by the names that the runner gives them."""

    def __init__(self) -> None:
        self._workers: dict[str, ForkServerProcess] = {}

    def StartWorker(self, request: Any, context: grpc.ServicerContext) -> Any:
        """Fork one; it ends by itself when the runner is gone."""
        worker = ForkServerContext().Process(target=_work, args=(request.SerializeToString(),), daemon=True)
        worker.start()
        self._workers[request.worker_id] = worker
        return worker_messages.StartWorkerResponse()

    def StopWorker(self, request: Any, context: grpc.ServicerContext) -> Any:
        """End it."""
        if worker := self._workers.pop(request.worker_id, None):
            worker.terminate()
            worker.join(_ENDS_S)
            worker.kill()
        return worker_messages.StopWorkerResponse()


def serve(port: int) -> None:
    """Start workers as runners ask for them on this port, until ended."""
    alive = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    server = grpc.server(ThreadPoolExecutor(), options=alive)
    worker_services.add_BeamFnExternalWorkerPoolServicer_to_server(_Pool(), server)
    server.add_insecure_port(address(port))
    server.start()
    server.wait_for_termination()


def _work(request: bytes) -> None:
    """Ask the runner for the job's options, then be the worker."""
    start = worker_messages.StartWorkerRequest.FromString(request)
    info = _provision(start.provision_endpoint.url, start.worker_id)
    os.environ.update(
        WORKER_ID=start.worker_id,
        PIPELINE_OPTIONS=json_format.MessageToJson(info.pipeline_options),
        RUNNER_CAPABILITIES=" ".join(info.runner_capabilities),
        LOGGING_API_SERVICE_DESCRIPTOR=_descriptor(info.logging_endpoint, start.logging_endpoint),
        CONTROL_API_SERVICE_DESCRIPTOR=_descriptor(info.control_endpoint, start.control_endpoint),
    )
    del sys.argv[1:]  # no option of Beam's
    sdk_worker_main.main(sys.argv)


def _provision(endpoint: str, worker: str) -> messages.ProvisionInfo:
    with grpc.insecure_channel(endpoint) as channel:
        service: Any = services.ProvisionServiceStub
        ask = service(channel).GetProvisionInfo
        info: messages.ProvisionInfo = ask(
            messages.GetProvisionInfoRequest(),
            metadata=[("worker_id", worker)],
            wait_for_ready=True,
            timeout=_ANSWERS_S,
        ).info
    return info


def _descriptor(given: endpoints.ApiServiceDescriptor, other: endpoints.ApiServiceDescriptor) -> str:
    return text_format.MessageToString(given if given.url else other)
