"""How a command ends."""

ALL_DONE, CHECK_FAILED, CANNOT_START, NOT_ALL_DONE = 0, 1, 2, 3
INTERRUPTED = 130  # as shells say it: 128 + SIGINT


class CannotStartError(Exception):
    """Nothing can be done; the message is the line that says what, where and how to fix it."""
