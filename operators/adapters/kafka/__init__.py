"""Kafka as a source: `KafkaSource` over a client that the config chooses."""

from operators.adapters.kafka.client import CLIENTS, KafkaClient, KafkaOptions, connect
from operators.adapters.kafka.source import KafkaSource

__all__ = ["CLIENTS", "KafkaClient", "KafkaOptions", "KafkaSource", "connect"]
