"""diffusers' own door: a pipeline class of diffusers that edits in a region only, called as diffusers calls.

integrations/diffusers/ has the files to give as `custom_pipeline=`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from diffusers.utils.outputs import BaseOutput
from PIL import Image

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.diffusers.editors import EDITORS
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.pictures.image16 import as_8bit
from adaptedit.pictures.picture import Picture
from adaptedit.region import Region

if TYPE_CHECKING:
    from adaptedit.editing.options import Preserve
    from adaptedit.editing.pipeline import Editable


@dataclass
class LocalEditOutput(BaseOutput):
    """images: as `output_type` says. regions: where each was edited."""

    images: Any
    regions: list[Region]


class LocalEditing:
    """To be put before a pipeline class of `EDITORS`. Without an adapter, each edit needs a `mask_image`."""

    components: dict[str, Any]
    _adaptedit: AdaptEditAdapter | None = None

    def load_adaptedit(self, adapter: str | Path | AdaptEditAdapter) -> None:
        """Attaches an adapter or the one in a folder. AdaptEditError if it is a second or another's."""
        loaded = (
            adapter if isinstance(adapter, AdaptEditAdapter) else AdaptEditAdapter.from_pretrained(adapter)
        )
        if not loaded.attached:
            loaded.to(self.components["transformer"].dtype).attach(self._plain())
        self._adaptedit = loaded

    def unload_adaptedit(self) -> None:
        """The pipeline as it was."""
        if self._adaptedit is not None:
            self._adaptedit.detach()
            self._adaptedit = None

    def predict_region(self, image: Editable, prompt: str, *, threshold: float = 0.5) -> Image.Image:
        """Where `prompt` would edit, as a `mask_image`; see `AdaptEditPipeline.predict_region`."""
        return self._editor().predict_region(image, prompt, threshold=threshold).to_image()

    def __call__(
        self,
        image: Editable | Sequence[Editable],
        prompt: str | Sequence[str],
        mask_image: Image.Image | Sequence[Image.Image] | None = None,
        *,
        num_inference_steps: int | None = None,
        num_images_per_prompt: int = 1,
        generator: torch.Generator | None = None,
        preserve: Preserve = "exact",
        output_type: str = "pil",
        return_dict: bool = True,
        **options: Any,
    ) -> LocalEditOutput | tuple[Any]:
        """Edits one picture, or a list of pictures with as many prompts; results have the pictures' sizes.

        mask_image: white = repaint, of the picture's size; found from the prompt where it is None.
        output_type: "pil", "np": float32 (B, H, W, 3) in [0, 1], or "pt": (B, 3, H, W).
        options: `threshold`, `context`, `feather` and `seed` of `AdaptEditPipeline.__call__`, and what the
            diffusers class takes: `guidance_scale`, `negative_prompt`, `callback_on_step_end` (called anew
            for each crop), ...

        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        if output_type not in ("pil", "np", "pt"):
            raise AdaptEditError(f"output_type={output_type!r} is not known; use 'pil', 'np' or 'pt'")
        editor = self._editor()
        pictures = [Picture.open(one) if not isinstance(one, Picture) else one for one in _listed(image)]
        given = [None] * len(pictures) if mask_image is None else _listed(mask_image)
        prompts = [prompt] if isinstance(prompt, str) else list(prompt)
        if not len(pictures) == len(given) == len(prompts):
            raise AdaptEditError(
                f"{len(pictures)} pictures, {len(prompts)} prompts and {len(given)} masks; "
                "give as many of each"
            )
        regions = [
            None if mask is None else Region.from_white_is_edit(mask, picture.size)
            for mask, picture in zip(given, pictures, strict=True)
        ]
        try:
            out = editor(
                pictures,
                prompts,
                regions,
                preserve=preserve,
                num_inference_steps=num_inference_steps,
                num_images_per_prompt=num_images_per_prompt,
                generator=generator,
                **options,
            )
        finally:
            self.maybe_free_model_hooks()  # type: ignore[attr-defined]
        images: Any = out.images
        if output_type != "pil":
            images = _stacked([as_8bit(one) for one in out.images])
        if output_type == "pt":
            images = torch.from_numpy(images).permute(0, 3, 1, 2)
        return LocalEditOutput(images=images, regions=out.regions) if return_dict else (images,)

    def _editor(self) -> AdaptEditPipeline:
        return AdaptEditPipeline(self._plain(), self._adaptedit)

    def _plain(self) -> Any:
        """diffusers' own class around the same models, made anew: any of them may have been exchanged."""
        base = next(one for one in type(self).__mro__ if one.__name__ in EDITORS)
        plain: Any = base(**self.components)
        plain.register_to_config(_name_or_path=self.name_or_path)  # type: ignore[attr-defined]
        plain.set_progress_bar_config(**getattr(self, "_progress_bar_config", {}))
        return plain


def _listed(one_or_more: Any) -> list[Any]:
    return list(one_or_more) if isinstance(one_or_more, (list, tuple)) else [one_or_more]


def _stacked(images: list[Image.Image]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    sizes = sorted({image.size for image in images})
    if len(sizes) > 1:
        raise AdaptEditError(f"pictures of {len(sizes)} sizes ({sizes}) make no array; use output_type='pil'")
    return np.stack([np.asarray(image.convert("RGB"), np.float32) / 255 for image in images])
