"""Faust: two services beside each other, one that reads partitions and one that keeps shards, on one Kafka.

::

    telemetry topics ── Reading ──> GROUP-shards (a partition a shard) ── Detecting ──> sinks
                          └── GROUP-intakes-changelog          └── GROUP-shards-changelog
"""
