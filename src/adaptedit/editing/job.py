"""One edit, as every door requests it: a picture, an instruction, and the options."""

from __future__ import annotations

from dataclasses import dataclass, field

from adaptedit.editing.controls import places
from adaptedit.editing.crops import INVISIBLE
from adaptedit.editing.options import EditOptions
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture


@dataclass(frozen=True, eq=False)
class EditJob:
    """Checked when it is made, before a model is needed; raises AdaptEditError."""

    image: Picture
    instruction: str
    options: EditOptions = field(default_factory=EditOptions)

    def __post_init__(self) -> None:
        options = self.options
        check_instruction(self.instruction)
        places([*options.include, *options.exclude], self.image.size)
        for name, region in (("region", options.region), ("limit", options.within)):
            if region is not None and region.size != self.image.size:
                raise AdaptEditError(
                    f"the {name} is {region.size[0]}x{region.size[1]} pixels and the picture "
                    f"{self.image.size[0]}x{self.image.size[1]}; make them the same size"
                )
        region = options.region
        if region is not None and not options.adjusts_region and region.bbox(INVISIBLE) is None:
            raise AdaptEditError("the region is empty, so there is nothing to edit; mark the place to edit")


def check_instruction(text: str) -> None:
    """Raises AdaptEditError if there is no text, or something that is not text."""
    if not isinstance(text, str):
        raise AdaptEditError(f"the instruction is {type(text).__name__}; give text")
    if not text.strip():
        raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise AdaptEditError("the instruction has bytes that are not text (UTF-8); type it again") from None
