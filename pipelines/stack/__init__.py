"""Kafka, Flink and ClickHouse on one machine, without Docker: real servers on loopback, in one folder."""

from pipelines.stack.errors import NotInstalledError, StackError
from pipelines.stack.ports import Ports
from pipelines.stack.stack import PARTS, Stack, Status

__all__ = ["PARTS", "NotInstalledError", "Ports", "Stack", "StackError", "Status"]
