"""How far an edit's numbers may go, at every door alike: beyond lies a mistake, or endless work."""

from __future__ import annotations

MOST_PLACES = 64  # points and boxes; for more, draw the region
MOST_PIXELS = 65_535  # to grow by or to feather; the longest side that a JPEG can have
MOST_CONTEXT = 1000  # a thousandth of the crop is too little for any editor to see
MOST_STEPS = 1000  # as many as there are levels of noise in training
