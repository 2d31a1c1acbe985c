"""Kafka as a source: `KafkaSource` over a client library that the config chooses; and its producers."""

from operators.adapters.kafka.client import (
    CLIENTS,
    KafkaClient,
    KafkaProducer,
    OutRecord,
    connect,
    connect_producer,
)
from operators.adapters.kafka.options import KafkaOptions
from operators.adapters.kafka.source import KafkaSource

__all__ = [
    "CLIENTS",
    "KafkaClient",
    "KafkaOptions",
    "KafkaProducer",
    "KafkaSource",
    "OutRecord",
    "connect",
    "connect_producer",
]
