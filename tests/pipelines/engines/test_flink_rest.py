"""Flink's REST interface as driftline asks it."""

import socket

import pytest

from pipelines.engines.flink import Flink, FlinkAway


def test_a_cluster_out_of_reach_is_told_from_one_that_refuses() -> None:
    with socket.socket() as held:  # bound, and nobody listens
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        with pytest.raises(FlinkAway, match=f"127.0.0.1:{port} cannot be asked"):
            Flink(f"127.0.0.1:{port}").state("0")
