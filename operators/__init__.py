"""The stateful steps, free of any engine: fold, windows, detection, lifecycle, correlation, sinks."""
