"""`--shard I/N`, which several commands take: one of so many equal shares of the work, counted from 1."""

from __future__ import annotations

import re

from adaptedit.errors import AdaptEditError, quoted


def share(text: str) -> tuple[int, int]:
    """ "1/4" -> (1, 4). Raises AdaptEditError for anything that is not I/N with I from 1 to N."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None or not 1 <= int(found[1]) <= int(found[2]):
        raise AdaptEditError(f"--shard {quoted(text)}: give I/N, such as 1/4 to 4/4 for the four quarters")
    return int(found[1]), int(found[2])
