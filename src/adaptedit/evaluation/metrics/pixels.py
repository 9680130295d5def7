"""L1 and L2: the plain distances of pixels."""

from __future__ import annotations

from PIL import Image
from torch import Tensor

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.views import fitted
from adaptedit.pictures.tensors import to_tensor
from adaptedit.region import Region


class Pixels:
    """Means over all pixels and channels of RGB in [0, 1]; lower is better, 0 is identical.

    L1, L2: mean absolute and mean *squared* error, result against target (MagicBrush, image_eval.py).
    L1-source: mean absolute error, result against source (Emu-Edit); doing nothing gives 0.
    A result of another size is resized to the picture it is compared with, as image_eval.py does.
    """

    columns: tuple[str, ...] = ("L1", "L2", "L1-source")

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        scores = {}
        if sample.target is not None:
            error = _difference(result, sample.target)
            scores = {"L1": float(error.abs().mean()), "L2": float(error.square().mean())}
        return scores | {"L1-source": float(_difference(result, sample.source).abs().mean())}


def _difference(result: Image.Image, reference: Image.Image) -> Tensor:
    return (to_tensor(fitted(result, reference.size)) - to_tensor(reference)).double()
