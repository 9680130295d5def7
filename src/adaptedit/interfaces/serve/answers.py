"""The bodies of the answers."""

from __future__ import annotations

from pydantic import BaseModel, Field

from adaptedit.region import Region

Fraction = Field(ge=0, le=1)


class RegionFacts(BaseModel):
    """coverage: share of the picture. confidence: mean probability inside. box: of what is above 0.5."""

    coverage: float = Fraction
    confidence: float = Fraction
    box: list[int] | None = Field(
        min_length=4, max_length=4, description="left, top, right, bottom in pixels"
    )  # a tuple would be right, but FastAPI's OpenAPI of one is not valid

    @classmethod
    def of(cls, region: Region) -> RegionFacts:
        box = region.bbox()
        return cls(coverage=region.coverage(), confidence=region.confidence(), box=box and list(box))


class RegionAnswer(RegionFacts):
    created: int
    mask: str = Field(description="base64 of a PNG of the picture's size")


class EditedImage(BaseModel):
    b64_json: str
    seed: int | None


class EditAnswer(BaseModel):
    """OpenAI's, with `seed` and `region` added."""

    created: int
    data: list[EditedImage]
    output_format: str
    size: str
    region: RegionFacts


class Model(BaseModel):
    id: str
    object: str = "model"
    created: int
    owned_by: str = "adaptedit"


class Models(BaseModel):
    object: str = "list"
    data: list[Model]


class State(BaseModel):
    status: str
