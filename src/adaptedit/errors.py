"""The one error type that is meant to be read by the person in front of the screen."""

from __future__ import annotations


class AdaptEditError(ValueError):
    """A problem that the user can fix. The message, one line: what was wrong, what was expected, what to do.

    The command line prints it without a traceback and exits with code 2.
    """
