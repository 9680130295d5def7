"""What a Python caller may pass, as the one type that the rest works with: pictures, regions, generators."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from adaptedit.editing.options import EditOptions
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.picture import Picture, Source
from adaptedit.region import Region, Size, load_region

Editable = Source | Picture
Generators = torch.Generator | Sequence[torch.Generator] | None


def as_picture(image: Editable) -> Picture:
    """Raises AdaptEditError as `Picture.open`."""
    return image if isinstance(image, Picture) else Picture.open(image)


def as_region(where: Any, size: Size) -> Region | None:
    """A Region as it is; a mask as diffusers' `mask_image`, white = edit, resized to nothing.

    where: None, a Region, a PIL image, a path, or an array or tensor (H, W): bool, uint8, or float in [0, 1].
    Raises AdaptEditError for anything else, and for a mask of another size (W, H).
    """
    if isinstance(where, (int, float)) or (isinstance(where, (list, tuple)) and len(where) == 4):
        raise AdaptEditError("a region of numbers is no mask; give Region.from_box(box, picture.size)")
    if where is None or isinstance(where, Region):
        return where
    if isinstance(where, (str, Path)):
        return load_region(Path(where), "white", size)
    if isinstance(where, Image.Image):
        return Region.from_white_is_edit(where, size)
    if isinstance(where, torch.Tensor):
        where = where.detach().float().cpu().numpy() if where.is_floating_point() else where.cpu().numpy()
    if not isinstance(where, np.ndarray) or where.ndim != 2:
        shape = f" of shape {where.shape}" if isinstance(where, np.ndarray) else ""
        raise AdaptEditError(
            f"region is {type(where).__name__}{shape}; give a Region, or a mask, white = edit: a picture, a "
            "path or an array (height, width)"
        )
    return Region.from_array(where / 255 if where.dtype == np.uint8 else where)


def pair_up(image: Any, prompt: Any, region: Any) -> list[tuple[Picture, str, Region | None]]:
    """One picture or a list; one prompt for all or one for each; the same for regions.

    Raises AdaptEditError where the numbers differ.
    """
    images = [as_picture(one) for one in _listed(image)]
    if not isinstance(prompt, (str, list, tuple)):
        raise AdaptEditError(f"prompt is {type(prompt).__name__}; give text, or a list of texts")
    prompts = [prompt] * len(images) if isinstance(prompt, str) else list(prompt)
    box = isinstance(region, (list, tuple)) and all(isinstance(one, (int, float)) for one in region)
    regions = list(region) if isinstance(region, (list, tuple)) and not box else [region] * len(images)
    if not len(images) == len(prompts) == len(regions):
        raise AdaptEditError(
            f"{len(images)} pictures, {len(prompts)} prompts and {len(regions)} regions; give as many of each"
        )
    triples = zip(images, prompts, regions, strict=True)
    return [(picture, text, as_region(where, picture.size)) for picture, text, where in triples]


def generators_for(options: EditOptions, generator: Generators, pictures: int) -> list[list[torch.Generator]]:
    """One generator for each result of each picture.

    With a seed: made from it and the next ones. A list of generators, one per result, is used as it is, and
    so is a single one for a single result; for several results a single one draws a seed for each.
    Raises AdaptEditError for a seed beside generators, and for a list of another length.
    """
    count = options.candidates
    for one in [generator] if not isinstance(generator, (list, tuple)) else generator:
        if one is not None and not isinstance(one, torch.Generator):
            raise AdaptEditError(
                f"generator is {type(one).__name__}; give a torch.Generator or a list of them"
            )
    if options.seed is not None:
        if generator is not None:
            raise AdaptEditError("a seed and a generator exclude each other; give one of them")
        return [[_seeded(options.seed + index) for index in range(count)] for _ in range(pictures)]
    if isinstance(generator, torch.Generator):
        if pictures * count == 1:
            return [[generator]]
        given = [_seeded(seed) for seed in _drawn(pictures * count, generator)]
    elif generator is None:
        given = [_seeded(seed) for seed in _drawn(pictures * count, None)]
    else:
        given = list(generator)
    if len(given) != pictures * count:
        raise AdaptEditError(f"{len(given)} generators for {pictures * count} results; give as many of each")
    return [given[first : first + count] for first in range(0, len(given), count)]


def seed_of(generator: torch.Generator) -> int | None:
    """The seed that gives the same noise again; None if numbers have been drawn since it was set."""
    seed = generator.initial_seed()
    fresh = torch.Generator(generator.device).manual_seed(seed)
    return seed if torch.equal(fresh.get_state(), generator.get_state()) else None


def as_references(pictures: Any) -> list[Picture]:
    """One picture or several, or none."""
    return [] if pictures is None else [as_picture(one) for one in _listed(pictures)]


def _drawn(count: int, generator: torch.Generator | None) -> list[int]:
    device = None if generator is None else generator.device
    return torch.randint(2**31, (count,), generator=generator, device=device).tolist()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _listed(one_or_more: Any) -> list[Any]:
    return list(one_or_more) if isinstance(one_or_more, (list, tuple)) else [one_or_more]
