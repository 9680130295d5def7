"""The errors that are meant to be read by the person in front of the screen."""

from __future__ import annotations


class AdaptEditError(ValueError):
    """A problem that the user can fix. The message, one line: what was wrong, what was expected, what to do.

    The command line prints it without a traceback and exits with `exit_code`.
    """

    exit_code = 2


class NoLocalRegion(AdaptEditError):
    """All is well, but there is no region to edit. Never answered by editing all of the picture."""

    exit_code = 3


class RegionNotFound(NoLocalRegion):
    """The instruction names nothing that was found in the picture."""


class GlobalEdit(NoLocalRegion):
    """The instruction means the whole picture."""
