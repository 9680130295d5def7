"""FID: how far the results, as a set, are from the pictures they should look like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError


class Fid:
    """Fréchet distance of Inception-v3 features (Heusel et al. 2017; torch-fidelity's port of the original
    weights, by torchmetrics), at least 0, lower is better.

    FID: results and targets. FID-source: results and sources; doing nothing gives 0. Biased upwards for few
    pictures: it is comparable for sets of one size only, and says little below some thousands.

    weights: file of torch-fidelity's Inception, else it downloads them. features: another module, uint8
    (1, 3, H, W) -> (1, D) with `num_features`; its columns are no longer FID's published scale.
    Raises AdaptEditError if torchmetrics, torch-fidelity (it needs torchvision) or the weights are missing.
    """

    columns: tuple[str, ...] = ("FID", "FID-source")

    def __init__(
        self, weights: str | None = None, device: str = "cpu", features: torch.nn.Module | None = None
    ) -> None:
        self.device = device
        try:
            from torchmetrics.image.fid import FrechetInceptionDistance

            self.distances: dict[str, Any] = {
                column: FrechetInceptionDistance(
                    feature=2048 if features is None else features, feature_extractor_weights_path=weights
                ).to(device)
                for column in self.columns
            }
        except ImportError:
            raise AdaptEditError(
                "FID needs torchvision, torch-fidelity and torchmetrics; "
                "pip install torchvision torch-fidelity 'adaptedit[eval]'"
            ) from None
        except OSError as error:
            raise AdaptEditError(
                f"FID's Inception weights cannot be read or downloaded ({error}); go online once, "
                "or give the file of torch-fidelity's pt_inception weights"
            ) from error

    def __call__(self, pairs: Iterable[tuple[EditSample, Image.Image]]) -> dict[str, float]:
        """Of pictures of any size, by Inception's own resizing; the columns that have at least two pairs."""
        for distance in self.distances.values():
            distance.reset()
        for sample, result in pairs:
            for column, reference in (("FID", sample.target), ("FID-source", sample.source)):
                if reference is not None:
                    self.distances[column].update(self._pixels(reference), real=True)
                    self.distances[column].update(self._pixels(result), real=False)
        return {
            column: max(float(distance.compute()), 0.0)
            for column, distance in self.distances.items()
            if int(distance.real_features_num_samples) > 1
        }

    def _pixels(self, image: Image.Image) -> torch.Tensor:
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].contiguous().to(self.device)
