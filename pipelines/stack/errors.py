"""What can go wrong with a stack."""


class StackError(Exception):
    """A part that cannot be started or reached; the message holds the last lines of its log."""


class NotInstalledError(StackError):
    """A program or the jars that a part needs are not on this machine; the message says how to get them."""
