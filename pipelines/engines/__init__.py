"""The engines `driftline run` chooses from: thin, each moving the same messages through the same core."""
