"""Beam's view of the core: an unbounded source, a stateful DoFn around `Shard`, and sinks."""
