"""One edit, as the command line, the web page, the server and the batch all request it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adaptedit.editing.controls import Point, adjust, check_number, places
from adaptedit.editing.crops import CONTEXT
from adaptedit.editing.limits import MOST_CONTEXT, MOST_PIXELS, MOST_STEPS
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture
from adaptedit.region import Box, Region

if TYPE_CHECKING:
    from adaptedit.backbones.base import OnStep
    from adaptedit.editing.pipeline import AdaptEditPipeline, EditOutput, Preserve
    from adaptedit.editing.scheduler import EditTask


@dataclass(frozen=True, eq=False, kw_only=True)
class EditJob:
    """Checked when it is made, before a model is needed; raises AdaptEditError.

    region: where to edit, of the picture's size; found if None. everywhere: the whole picture instead.
    threshold: of the region found, see `AdaptEditPipeline.predict_region`.
    include, exclude, within, invert, grow: how the region is then changed, see `controls.adjust`.
    All else: see `AdaptEditPipeline.__call__`.
    """

    image: Picture
    instruction: str
    region: Region | None = None
    everywhere: bool = False
    threshold: float = 0.5
    include: Sequence[Box | Point] = ()
    exclude: Sequence[Box | Point] = ()
    within: Region | None = None
    invert: bool = False
    grow: float = 0.0
    preserve: Preserve = "exact"
    steps: int | None = None
    seed: int | None = None
    candidates: int = 1
    feather: float | None = None
    context: float = CONTEXT

    def __post_init__(self) -> None:
        if not self.instruction.strip():
            raise AdaptEditError('the instruction is empty; say what to do, such as "remove the apple"')
        try:
            self.instruction.encode("utf-8")
        except UnicodeEncodeError:
            raise AdaptEditError(
                "the instruction has bytes that are not text (UTF-8); type it again"
            ) from None
        if not 0.0 < self.threshold < 1.0:
            raise AdaptEditError(f"threshold is {self.threshold}; give a probability above 0 and below 1")
        check_number("grow", self.grow, -MOST_PIXELS, MOST_PIXELS, " pixels")
        check_number("feather", 0.0 if self.feather is None else self.feather, 0, MOST_PIXELS, " pixels")
        check_number("context", self.context, 1, MOST_CONTEXT)
        check_number("steps", 1 if self.steps is None else self.steps, 1, MOST_STEPS)
        if not self.candidates >= 1:
            raise AdaptEditError(f"candidates is {self.candidates}; give 1 or more")
        if self.everywhere and self.region is not None:
            raise AdaptEditError("a region and the whole picture exclude each other; give one of them")
        places([*self.include, *self.exclude], self.image.size)
        for name, region in (("region", self.region), ("limit", self.within)):
            if region is not None and region.size != self.image.size:
                raise AdaptEditError(
                    f"the {name} is {region.size[0]}x{region.size[1]} pixels and the picture "
                    f"{self.image.size[0]}x{self.image.size[1]}; make them the same size"
                )

    def find(self, pipe: AdaptEditPipeline) -> Region:
        """Where this job edits. Raises NoLocalRegion if there is nothing to edit or it is everything."""
        return pipe.run_task(self.find_task(pipe))

    def find_task(self, pipe: AdaptEditPipeline) -> EditTask[Region]:
        """`find`, as a task to run with others."""
        found = Region.full(self.image.size) if self.everywhere else self.region
        if found is None:
            found = yield from pipe.find_task(self.image, self.instruction, threshold=self.threshold)
        if not (self.include or self.exclude or self.within or self.invert or self.grow):
            return found
        return adjust(
            found,
            include=self.include,
            exclude=self.exclude,
            within=self.within,
            invert=self.invert,
            grow=self.grow,
        )

    def run(
        self, pipe: AdaptEditPipeline, region: Region | None = None, on_step: OnStep | None = None
    ) -> EditOutput:
        """Edits in `region`, as `find` returns it; None: it is found now."""
        return pipe.run_task(self.edit_task(pipe, region, on_step))

    def edit_task(
        self, pipe: AdaptEditPipeline, region: Region | None = None, on_step: OnStep | None = None
    ) -> EditTask[EditOutput]:
        """`run`, as a task to run with others."""
        if region is None:
            region = yield from self.find_task(pipe)
        return (
            yield from pipe.edit_task(
                self.image,
                self.instruction,
                region,
                preserve=self.preserve,
                num_inference_steps=self.steps,
                seed=self.seed,
                num_images_per_prompt=self.candidates,
                context=self.context,
                feather=self.feather,
                on_step=on_step,
            )
        )
