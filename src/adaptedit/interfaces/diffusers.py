"""diffusers' own door: a pipeline class of diffusers that edits in a region only, called as diffusers calls.

integrations/diffusers/ has the files to give as `custom_pipeline=`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffusers.utils.outputs import BaseOutput
from PIL import Image

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.backbones.diffusers.editors import EDITORS
from adaptedit.editing.pipeline import AdaptEditPipeline
from adaptedit.errors import AdaptEditError
from adaptedit.region import Region

if TYPE_CHECKING:
    from adaptedit.editing.arguments import Editable


@dataclass
class LocalEditOutput(BaseOutput):
    """images: as `output_type` says, see `AdaptEditPipeline.__call__`. regions: where each was edited."""

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
        mask_image: Any = None,
        *,
        return_dict: bool = True,
        **options: Any,
    ) -> LocalEditOutput | tuple[Any]:
        """Edits one picture, or a list of pictures with one prompt or as many; results have their sizes.

        mask_image: white = repaint, of the picture's size; found from the prompt where it is None.
        options: all of `AdaptEditPipeline.__call__`, such as `preserve`, `generator` and `output_type`, and
            what the diffusers class takes: `callback_on_step_end` (called anew for each crop), ...

        Raises AdaptEditError for bad input, NoLocalRegion if there is nothing to edit or it is everything.
        """
        if "region" in options:
            raise AdaptEditError("give the place as mask_image, or have it found; there is no region here")
        editor = self._editor()
        try:
            images, regions, _ = editor(image, prompt, mask_image, return_dict=False, **options)
        finally:
            self.maybe_free_model_hooks()  # type: ignore[attr-defined]
        return LocalEditOutput(images=images, regions=regions) if return_dict else (images,)

    def _editor(self) -> AdaptEditPipeline:
        return AdaptEditPipeline(self._plain(), self._adaptedit)

    def _plain(self) -> Any:
        """diffusers' own class around the same models, made anew: any of them may have been exchanged."""
        base = next(one for one in type(self).__mro__ if one.__name__ in EDITORS)
        plain: Any = base(**self.components)
        plain.register_to_config(_name_or_path=self.name_or_path)  # type: ignore[attr-defined]
        plain.set_progress_bar_config(**getattr(self, "_progress_bar_config", {}))
        return plain
