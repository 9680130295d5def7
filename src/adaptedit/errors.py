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


def quoted(text: object, most: int = 60) -> str:
    """What a user gave, for an error message: in quotes, on one line, cut after `most` characters."""
    whole = text if isinstance(text, str) else repr(text)
    short = whole if len(whole) <= most else f"{whole[:most]}..."
    return repr(short) if isinstance(text, str) else short
