"""What ComfyUI offers to its nodes: device, progress bar, Cancel button. Tests run without them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from adaptedit.backbones.base import OnStep


def device() -> torch.device | str:
    """Where ComfyUI computes."""
    if find_spec("comfy") is None:
        return "cpu"
    from comfy.model_management import get_torch_device  # type: ignore[import-not-found]

    return get_torch_device()  # type: ignore[no-any-return]


def progress(picture: int, pictures: int) -> OnStep | None:
    """A callback that moves the node's progress bar at each step of a picture, and stops at Cancel."""
    if find_spec("comfy") is None:
        return None
    from comfy.model_management import throw_exception_if_processing_interrupted
    from comfy.utils import ProgressBar  # type: ignore[import-not-found]

    def on_step(done: int, steps: int) -> None:
        throw_exception_if_processing_interrupted()
        ProgressBar(pictures * steps).update_absolute(picture * steps + done)

    return on_step
