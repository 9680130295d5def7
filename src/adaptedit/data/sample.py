"""One sample, for training and for evaluation: a picture, what is asked, where it changes, what comes out."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from adaptedit.region import Region


@dataclass(frozen=True)
class EditSample:
    """What is edited, and what an edit is trained on or measured against.

    id: unique in its data set and fit for a file name; "" for a sample that is drawn at random.
    source, target: RGB; target: None where there is no ground truth, else perhaps of another size.
    region: where the edit is, of the source's size, 1 = edit; None if nobody says.
    category: what results are grouped by, such as "remove"; "" if there are no groups.
    source_caption, target_caption: of the picture before and after; "" where unknown.
    """

    id: str
    instruction: str
    source: Image.Image
    target: Image.Image | None = None
    region: Region | None = None
    category: str = ""
    source_caption: str = ""
    target_caption: str = ""
