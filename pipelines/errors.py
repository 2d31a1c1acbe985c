"""Errors that the command line turns into exit codes."""


class UsageError(Exception):
    """Wrong use or wrong config (exit 2): the message names file, line or field, and what would be right."""


class EngineError(Exception):
    """The engine failed or cannot be reached (exit 1); the message says which and why."""
