"""The form fields of both routes, checked, and the edit that they ask for."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from adaptedit.editing.crops import CONTEXT
from adaptedit.editing.job import EditJob
from adaptedit.editing.limits import MOST_GUIDANCE, MOST_SCALE
from adaptedit.editing.options import EditOptions, Preserve
from adaptedit.errors import quoted
from adaptedit.interfaces.serve import pictures
from adaptedit.interfaces.serve.answers import EditAnswer, EditedImage, RegionAnswer, RegionFacts
from adaptedit.interfaces.serve.problems import Problem
from adaptedit.interfaces.serve.upload import FILES, Parts

if TYPE_CHECKING:
    from PIL import Image

    from adaptedit.backbones.base import OnStep
    from adaptedit.editing.controls import Point
    from adaptedit.editing.output import EditOutput
    from adaptedit.editing.pipeline import AdaptEditPipeline
    from adaptedit.editing.scheduler import EditTask
    from adaptedit.pictures.picture import Picture
    from adaptedit.region import Box, Region

F = TypeVar("F", bound="Form")

# Enough for any picture; above them, work that no step ends grows without bound.
MOST_PIXELS, MOST_CONTEXT, MOST_STEPS = 256.0, 16.0, 50
MOST_IMAGES = 8  # in one request

Upload = Annotated[bytes, Field(strict=True)]
Place = Annotated[str, Field(pattern=r"^[0-9]{1,6},[0-9]{1,6}(,[0-9]{1,6},[0-9]{1,6})?$")]
Places = Annotated[list[Place], Field(max_length=32)]
JPEG_QUALITY = {"low": 60, "medium": 80, "standard": 90, "high": 95, "xhigh": 98, "max": 100}


class Form(BaseModel):
    """An edit that was asked for: `check`, then `job` of the decoded pictures, then `work` and `answer`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    image: Annotated[
        list[Upload],
        Field(max_length=1, description="PNG, JPEG or WebP. `image[]` is the same; one picture."),
    ]
    prompt: Annotated[str, Field(min_length=1, max_length=4000, description="What to do: remove the apple.")]
    model: Annotated[str | None, Field(description="The name in /v1/models, or none.")] = None
    user: Annotated[str | None, Field(max_length=256, description="Taken and not used.")] = None
    threshold: Annotated[
        float, Field(ge=0.01, le=0.99, description="How sure a pixel must be to be in the region found.")
    ] = 0.5
    grow: Annotated[
        float, Field(ge=-MOST_PIXELS, le=MOST_PIXELS, description="Pixels; negative to shrink the region.")
    ] = 0.0
    include: Annotated[
        Places, Field(description="`x,y`: only the part there. `left,top,right,bottom`: this box too.")
    ] = []
    exclude: Annotated[
        Places, Field(description="`x,y`: drop the part there. `left,top,right,bottom`: cut this box out.")
    ] = []

    invert: Annotated[bool, Field(description="Everything but the region.")] = False

    @property
    def mask_file(self) -> bytes | None:
        """The upload of a form that can have a mask."""
        return None

    def check(self) -> None:
        """What needs no picture. Raises Problem."""

    def check_amount(self, pixels: Sequence[int], most: int) -> None:
        """pixels: of each picture. Raises Problem 400 where all candidates, or all pictures, have more than
        `most` together."""

    def job(self, images: Sequence[Picture], mask: Image.Image | None) -> EditJob:
        """Of the decoded pictures, the one to edit first. Raises AdaptEditError and Problem; no model is
        needed for it."""
        raise NotImplementedError

    def work(self, pipe: AdaptEditPipeline, job: EditJob, on_step: OnStep) -> EditTask[Worked]:
        """Finds the region and edits, together with others."""
        raise NotImplementedError

    def answer(self, job: EditJob, worked: Worked) -> bytes:
        """The JSON body."""
        raise NotImplementedError


@dataclass(frozen=True)
class Worked:
    """What the model's thread gives: the region, and the edited pictures if they were asked for."""

    region: Region
    output: EditOutput | None = None


class EditForm(Form):
    image: Annotated[
        list[Upload],
        Field(
            max_length=MOST_IMAGES,
            description="PNG, JPEG or WebP. Several, as `image[]`: the first is edited, the others are "
            "references, for editors that see several pictures.",
        ),
    ]
    everywhere: Annotated[bool, Field(description="The whole picture; excludes a mask.")] = False
    mask: Annotated[
        Upload | None, Field(description="PNG of the picture's size with an alpha channel, 0 = edit.")
    ] = None
    n: Annotated[int, Field(ge=1, le=10, description="Candidates, all in one region.")] = 1
    size: Annotated[
        str, Field(pattern=r"^(auto|[0-9]{1,6}x[0-9]{1,6})$", description="auto, or the picture's own size.")
    ] = "auto"
    response_format: Annotated[
        Literal["b64_json", "url"], Field(description="Only b64_json: nothing is kept, so there is no url.")
    ] = "b64_json"
    output_format: pictures.OutputFormat = "png"
    quality: Annotated[
        Literal["auto", "low", "medium", "standard", "high", "xhigh", "max"],
        Field(description="Of a JPEG answer; the others are lossless. auto: as the source's, or 95 of 100."),
    ] = "auto"
    seed: Annotated[
        int | None,
        Field(ge=0, le=2**53 - 1, description="Gives the same again, to a level of 255; drawn where absent."),
    ] = None
    steps: Annotated[
        int | None, Field(ge=1, le=MOST_STEPS, description="Denoising steps; by default the editor's own.")
    ] = None
    guidance: Annotated[
        float | None,
        Field(ge=0, le=MOST_GUIDANCE, description="Strength of guidance; by default the editor's own."),
    ] = None
    negative_prompt: Annotated[
        str | None, Field(max_length=4000, description="What the result should not show.")
    ] = None
    adapter_scale: Annotated[
        float | None,
        Field(ge=-MOST_SCALE, le=MOST_SCALE, description="Strength of the adapter; 1 as trained, 0 none."),
    ] = None
    preserve: Annotated[
        Preserve,
        Field(description="Outside the region: keep the pixels, keep the latents, or neither."),
    ] = "exact"
    feather: Annotated[
        float | None,
        Field(ge=0, le=MOST_PIXELS, description="Pixels of the soft edge; a twentieth of the region."),
    ] = None
    context: Annotated[
        float,
        Field(ge=1, le=MOST_CONTEXT, description="Side of what the editor sees over what may change."),
    ] = CONTEXT

    @property
    def mask_file(self) -> bytes | None:
        return self.mask

    def check(self) -> None:
        if self.response_format == "url":
            message = "no picture is kept here, so there is no url to give; ask for response_format b64_json"
            raise Problem(400, "unsupported_response_format", message, param="response_format")

    def check_amount(self, pixels: Sequence[int], most: int) -> None:
        if self.n > 1 and self.n * pixels[0] > most:
            message = (
                f"{self.n} candidates of {pixels[0] / 1e6:.1f} megapixels are too many at once; "
                f"ask for {max(most // pixels[0], 1)}"
            )
            raise Problem(400, "invalid_value", message, param="n")
        if len(pixels) > 1 and sum(pixels) > most:
            message = (
                f"{len(pixels)} pictures of {sum(pixels) / 1e6:.1f} megapixels together are too many; "
                f"send at most {most / 1e6:g}"
            )
            raise Problem(400, "invalid_value", message, param="image")

    def job(self, images: Sequence[Picture], mask: Image.Image | None) -> EditJob:
        picture = images[0]
        own = f"{picture.size[0]}x{picture.size[1]}"
        if self.size not in ("auto", own):
            message = f"size {self.size} is not the picture's; an edit has its size: give auto or {own}"
            raise Problem(400, "invalid_size", message, param="size")
        pictures.check_output(picture, self.output_format)
        options = EditOptions(
            region=None if mask is None else pictures.region_of(mask, picture.size),
            everywhere=self.everywhere,
            threshold=self.threshold,
            include=_places(self.include),
            exclude=_places(self.exclude),
            invert=self.invert,
            grow=self.grow,
            preserve=self.preserve,
            steps=self.steps,
            guidance=self.guidance,
            negative_prompt=self.negative_prompt,
            references=images[1:],
            adapter_scale=self.adapter_scale,
            seed=self.seed,
            candidates=self.n,
            feather=self.feather,
            context=self.context,
        )
        return EditJob(picture, self.prompt, options)

    def work(self, pipe: AdaptEditPipeline, job: EditJob, on_step: OnStep) -> EditTask[Worked]:
        region = yield from pipe.find_task(job)
        on_step(0, 1)
        return Worked(region, (yield from pipe.edit_task(job, region, on_step)))

    def answer(self, job: EditJob, worked: Worked) -> bytes:
        assert worked.output is not None
        for image in worked.output.images:
            if self.quality != "auto":
                image.info["jpeg"] = {"quality": JPEG_QUALITY[self.quality], "subsampling": 0}
        images = [
            EditedImage(b64_json=pictures.encoded(image, self.output_format), seed=seed)
            for image, seed in zip(worked.output.images, worked.output.seeds, strict=True)
        ]
        width, height = job.image.size
        return _json(
            EditAnswer(
                created=int(time.time()),
                data=images,
                output_format=self.output_format,
                size=f"{width}x{height}",
                region=RegionFacts.of(worked.region),
            )
        )


class RegionForm(Form):
    polarity: Annotated[
        pictures.MaskPolarity,
        Field(description="white: grey, white = edit. alpha: 0 = edit, as /v1/images/edits takes it."),
    ] = "white"

    def job(self, images: Sequence[Picture], mask: Image.Image | None) -> EditJob:
        options = EditOptions(
            threshold=self.threshold,
            include=_places(self.include),
            exclude=_places(self.exclude),
            invert=self.invert,
            grow=self.grow,
        )
        return EditJob(images[0], self.prompt, options)

    def work(self, pipe: AdaptEditPipeline, job: EditJob, on_step: OnStep) -> EditTask[Worked]:
        return Worked((yield from pipe.find_task(job)))

    def answer(self, job: EditJob, worked: Worked) -> bytes:
        facts = RegionFacts.of(worked.region)
        mask = pictures.encoded_mask(worked.region, self.polarity)
        return _json(RegionAnswer(created=int(time.time()), mask=mask, **facts.model_dump()))


def parse(kind: type[F], parts: Parts) -> F:
    """Raises Problem 400 that names the first field that is unknown, missing, twice there or wrong."""
    fields: dict[str, Any] = {}
    for name, values in parts.items():
        if name not in kind.model_fields:
            message = f"{quoted(name)} is not known here; use {', '.join(kind.model_fields)}"
            raise Problem(400, "unknown_parameter", message, param=name[:60])
        is_file = isinstance(values[0], bytes)
        if any(isinstance(value, bytes) != (name in FILES) for value in values):
            wrong = "a file; give text" if is_file else "text; upload a file, no URL, path or id is read"
            raise Problem(400, "invalid_value", f"{name} came as {wrong}", param=name)
        several = get_origin(kind.model_fields[name].annotation) is list
        if len(values) > 1 and not several:
            raise Problem(400, "invalid_value", f"{name} came {len(values)} times; give it once", param=name)
        fields[name] = values if several else values[0]
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        name = str(first["loc"][0])
        code = "missing_required_parameter" if first["type"] == "missing" else "invalid_value"
        raise Problem(400, code, f"{name}: {first['msg'].lower()}", param=name) from None


def check_model(form: Form, model: str) -> None:
    """Raises Problem 404 where the form asks for another model than the one there is."""
    if form.model is not None and form.model != model:
        message = f"there is no model {quoted(form.model)}; leave it out or give {model}"
        raise Problem(404, "model_not_found", message, param="model")


def _places(texts: Sequence[str]) -> list[Box | Point]:
    return [tuple(int(number) for number in text.split(",")) for text in texts]  # type: ignore[misc]


def _json(answer: BaseModel) -> bytes:
    return answer.model_dump_json().encode()
