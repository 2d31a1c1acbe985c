"""Start one Python worker of Beam: what the SDK image's ``boot`` program does, without staging anything.

The worker pool runs it with the endpoints of the job. Code is not shipped: the worker has the same
installation as the pipeline. It runs in this very process, which has loaded Beam's modules to ask the runner.
Source of the contract: Beam's ``container_executable``, ``beam_provision_api``.
"""
# mypy: allow-untyped-calls

import argparse
import os
import sys
from typing import Any

import grpc
from apache_beam.portability.api import beam_provision_api_pb2 as messages
from apache_beam.portability.api import beam_provision_api_pb2_grpc as services
from apache_beam.portability.api import endpoints_pb2 as endpoints
from apache_beam.runners.worker import sdk_worker_main
from google.protobuf import json_format, text_format

#: The runner waits for its worker without an end: one that gave up too soon would leave it waiting.
_ANSWERS_S = 600


def main() -> None:
    """Ask the runner for the job's options, then become the worker."""
    parser = argparse.ArgumentParser()
    for name in ("id", "logging_endpoint", "artifact_endpoint", "provision_endpoint", "control_endpoint"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    info = _provision(given.provision_endpoint, given.id)
    os.environ.update(
        WORKER_ID=given.id,
        PIPELINE_OPTIONS=json_format.MessageToJson(info.pipeline_options),
        RUNNER_CAPABILITIES=" ".join(info.runner_capabilities),
        LOGGING_API_SERVICE_DESCRIPTOR=_descriptor(info.logging_endpoint, given.logging_endpoint),
        CONTROL_API_SERVICE_DESCRIPTOR=_descriptor(info.control_endpoint, given.control_endpoint),
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


def _descriptor(given: endpoints.ApiServiceDescriptor, url: str) -> str:
    return text_format.MessageToString(given if given.url else endpoints.ApiServiceDescriptor(url=url))


if __name__ == "__main__":
    main()
