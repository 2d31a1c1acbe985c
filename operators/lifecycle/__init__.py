"""From findings to episodes to event revisions: pending, firing, recovering, resolved, reopened."""

from operators.lifecycle.episodes import Lifecycle
from operators.lifecycle.findings import Finding

__all__ = ["Finding", "Lifecycle"]
