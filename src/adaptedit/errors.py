"""The errors that are meant to be read by the person in front of the screen."""

from __future__ import annotations

import re

_OUT_OF_MEMORY = re.compile("out of memory|allocate memory")  # torch's, on a GPU and on the CPU


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


class NoAdapter(AdaptEditError):
    """The editor has no adapter that finds a region, and none was given.

    advice: what to do, in the words of the door.
    """

    def __init__(self, advice: str = "give a region, or edit everywhere") -> None:
        super().__init__(f"this editor has no adapter, so it does not find the place by itself; {advice}")


class AdaptEditWarning(UserWarning):
    """Something to know that stops nothing."""


class NotEnoughMemory(AdaptEditError):
    """The memory did not suffice. The message says what needs less."""


def out_of_memory(error: BaseException) -> bool:
    """Whether it says that memory ran out, main memory or a GPU's."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and _OUT_OF_MEMORY.search(str(error)) is not None


def quoted(text: object, most: int = 60) -> str:
    """What a user gave, for an error message: in quotes, on one line, cut after `most` characters."""
    whole = text if isinstance(text, str) else repr(text)
    short = whole if len(whole) <= most else f"{whole[:most]}..."
    return repr(short) if isinstance(text, str) else short
