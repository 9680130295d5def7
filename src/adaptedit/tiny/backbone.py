"""The built-in editor `tiny`: a small Qwen-Image DiT with encoder, codec and decoders.

Words used here. *source*: the picture before the edit. *matte*: how much of the source is removed at a
pixel. *sketch*: the edited picture as the DiT describes it, without fine detail. A token covers 16x16 pixels
and has 2x2 blocks of 8x8 pixels.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn import functional as F

from adaptedit.backbones.base import Edited, OnStep, PromptStates, tokens_inside
from adaptedit.backbones.denoise import denoise, follow_source_outside
from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically
from adaptedit.pictures.tensors import to_pil, to_tensor
from adaptedit.region import Region, Size
from adaptedit.tiny.codec import BlockDCT
from adaptedit.tiny.decoder import DecoderConfig, PixelDecoder
from adaptedit.tiny.dit import DiTConfig, QwenImageTransformer2DModel
from adaptedit.tiny.encoder import EncoderConfig, VLEncoder
from adaptedit.tiny.inpaint import patches
from adaptedit.tiny.objects import FRAME_CHANNELS, ObjectConfig, ObjectDecoder, Objects, Votes
from adaptedit.tiny.text import TextEncoder

WEIGHTS = Path(__file__).parent / "weights"
_POSITION_CHANNELS = 32  # sines and cosines of a token's place, appended to its latent
_MIN_TIMESTEP = 0.05  # the velocity is divided by the timestep, so this keeps it finite
_MATTE_CHANNELS = 16  # matte values of a block, one for 2x2 pixels


def dit_config(
    width: int = 192, layers: int = 6, *, text_dim: int = 192, codec: BlockDCT, features: int, code: int
) -> DiTConfig:
    """Of the DiT that fits these parts.

    width: a multiple of 64. features: as in `DecoderConfig`. code: as in `ObjectConfig`.
    """
    return DiTConfig(
        patch_size=2,
        in_channels=codec.token_channels + _POSITION_CHANNELS,
        out_channels=codec.channels + _MATTE_CHANNELS + features + 1 + FRAME_CHANNELS + code,
        num_layers=layers,
        attention_head_dim=64,
        num_attention_heads=width // 64,
        joint_attention_dim=text_dim,
        axes_dims_rope=(8, 28, 28),
    )


@dataclass(frozen=True)
class DiTOutput:
    """What the DiT predicts of the edited picture, for each block.

    change: (B, N, 4, C), what to add, as the codec's coefficients. matte: (B, N, 4, 16), before tanh.
    features: (B, N, 4, F), for the pixel decoder. votes: for objects that are added or changed.
    """

    change: Tensor
    matte: Tensor
    features: Tensor
    votes: Votes


class TinyBackbone(nn.Module):
    """A `Backbone` (see backbones/base.py) at 128x128 pixels, with an 8x8 token grid.

    From the DiT's output (see `DiTOutput`) the edited picture x0 and the velocity are computed:

        sketch = source * (1 - matte) + change, then objects are drawn onto it
        x0 = sketch + decoder(features, source, sketch), then holes are filled from the source
        velocity = (latents - x0) / t

    Real backbones predict the velocity directly. Ours differs for these reasons:

    - To predict x0 is easier for a narrow model with large tokens than to predict the velocity.
    - Relative to the source, the model need not learn to copy.
    - With a matte an object disappears completely. A change alone would have to cancel each of its edges.
    - The decoders draw detail for which tokens of 16 pixels are too coarse.
    """

    name = "tiny"
    batched = True
    resolution = 128
    grid = (8, 8)

    position: Tensor  # (1, N, 32)

    def __init__(
        self,
        encoder: VLEncoder,
        transformer: QwenImageTransformer2DModel,
        decoder: PixelDecoder,
        objects: ObjectDecoder,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.transformer = transformer
        self.decoder = decoder
        self.objects = objects
        self.codec = BlockDCT()
        self.text = TextEncoder()
        self.register_buffer("position", _positions(*self.grid), persistent=False)

    @property
    def device(self) -> torch.device:
        return self.position.device

    def to(self, *where: Any, **named: Any) -> TinyBackbone:
        """As of any module; AdaptEditError for another dtype."""
        for one in (*where, *named.values()):
            if isinstance(one, torch.dtype) and one != torch.float32:
                raise AdaptEditError(f"tiny works in float32, not in {one}; leave the dtype out")
        return super().to(*where, **named)

    def working_size(self, size: Size) -> Size:
        return self.resolution, self.resolution

    def features(self, images: Sequence[Image.Image], prompts: Sequence[str]) -> PromptStates:
        return self.encode_prompt(self._pixels(images), list(prompts))

    def edit(
        self,
        images: Sequence[Image.Image],
        prompts: Sequence[str],
        regions: Sequence[Region],
        *,
        generators: Sequence[torch.Generator],
        follow_source: bool = False,
        num_inference_steps: int | None = None,
        on_step: OnStep | None = None,
        **options: Any,
    ) -> list[Edited]:
        """See `Backbone.edit`. One step is the default, and there are no options."""
        if options:
            raise AdaptEditError(f"tiny has no option {', '.join(sorted(options))}; leave it out")
        pixels = self._pixels(images)
        states, source = self.encode_prompt(pixels, list(prompts)), self.encode_image(pixels)
        inside = torch.cat([tokens_inside(region, self.grid) for region in regions]).to(source.device)
        latents = denoise(
            lambda latents, t: self.velocity(latents, source, states, t),
            source,
            num_inference_steps=num_inference_steps or 1,
            generators=generators,
            on_step=on_step,
            constrain=follow_source_outside(source, inside) if follow_source else None,
        )
        edited, reconstructed = self.decode_latents(latents), self.decode_latents(source)
        return [Edited(to_pil(a), to_pil(b)) for a, b in zip(edited, reconstructed, strict=True)]

    def _pixels(self, images: Sequence[Image.Image]) -> Tensor:
        return torch.cat([to_tensor(image) for image in images]).to(self.device)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, N, C)."""
        return self.codec.encode(pixels)

    def decode_latents(self, latents: Tensor) -> Tensor:
        """(B, N, C) -> (B, 3, H, W), about [0, 1], not clamped."""
        return self.codec.decode(latents, self.grid)

    def encode_prompt(self, pixels: Tensor, prompts: list[str]) -> PromptStates:
        """Pictures (B, 3, H, W) in [0, 1] and B instructions -> the encoder's states."""
        text, mask = self.text(prompts)
        states, mask = self.encoder(pixels, text, mask)
        return PromptStates(states, mask, self.grid[0] * self.grid[1])

    def predict_target(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        """The latents of the edited picture, (B, N, C), as predicted from noisy ones.

        latents: (B, N, C), noisy. timestep: (B,) in [0, 1], 1 = noise only.
        """
        output = self.run_dit(latents, source_latents, states, timestep)
        return self.draw(output, source_latents, output.votes.cluster(), fill_holes=True)

    def run_dit(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> DiTOutput:
        """One forward pass of the DiT. Arguments as for `predict_target`."""
        b, n, _ = latents.shape
        position = self.position.expand(b, -1, -1).to(latents.dtype)
        sequence = torch.cat(
            [torch.cat([latents, position], -1), torch.cat([source_latents, position], -1)], 1
        )
        mask = states.attention_mask
        channels: Tensor = self.transformer(
            hidden_states=sequence,
            encoder_hidden_states=states.hidden_states.to(latents.dtype),
            encoder_hidden_states_mask=None if bool(mask.all()) else mask,
            timestep=timestep.to(latents.dtype),
            img_shapes=[[(1, *self.grid), (1, *self.grid)]] * b,
        )[0]
        blocks = channels[:, :n].float().reshape(b, n, 4, -1)
        vote_channels = 1 + FRAME_CHANNELS + self.objects.config.code
        sizes = [self.codec.channels, _MATTE_CHANNELS, self.decoder.config.features, vote_channels]
        change, matte, features, votes = torch.split(blocks, sizes, -1)
        return DiTOutput(change, matte, features, Votes.from_channels(arrange_blocks(votes, self.grid)))

    def draw(
        self, output: DiTOutput, source_latents: Tensor, objects: Objects, *, fill_holes: bool = False
    ) -> Tensor:
        """The latents of the edited picture, (B, N, C), from the DiT's output and these objects.

        fill_holes: fill the holes that removed objects leave with detail from the source. Off in training:
        there the DiT has to learn the ground's colour itself, and filled pixels have no gradient.
        """
        source = self.decode_latents(source_latents.float())
        matte = decode_matte(output.matte, self.grid)
        sketch = (source - 0.5) * (1 - matte) + self.decode_latents(output.change.flatten(2))
        sketch, coverage = self.objects(objects, source, sketch, matte)
        drawn = sketch + self.decoder(arrange_blocks(output.features, self.grid), source, sketch)
        if fill_holes:
            drawn = patches.fill_holes(source, drawn, matte, coverage)
        return source_latents + self.codec.encode(0.5 + drawn - source)

    def velocity(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        """The velocity (B, N, C) at noisy latents (B, N, C). Arguments as for `predict_target`."""
        target = self.predict_target(latents, source_latents, states, timestep)
        return (latents - target) / timestep.clamp(min=_MIN_TIMESTEP)[:, None, None]


def decode_matte(matte: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, N, 4, 16), the DiT's output -> (B, 1, H, W) in (-1, 1): 0 keeps the source, 1 removes it."""
    cells = F.pixel_shuffle(arrange_blocks(matte, grid), 4)
    return F.interpolate(cells.tanh(), scale_factor=2, mode="bilinear")


def arrange_blocks(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """Put each block's C values at its place in the picture: (B, N, 4, C) -> (B, C, 2 h, 2 w)."""
    h, w = grid
    blocks = values.reshape(-1, h, w, 2, 2, values.shape[-1])
    return blocks.permute(0, 5, 1, 3, 2, 4).reshape(-1, values.shape[-1], 2 * h, 2 * w)


def save_part(
    module: VLEncoder | QwenImageTransformer2DModel | PixelDecoder | ObjectDecoder, folder: Path
) -> None:
    """Write one part as model.safetensors, in half precision, and config.json."""
    tensors = {key: value.half().contiguous() for key, value in module.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "model.safetensors", save(tensors))
    write_atomically(folder / "config.json", (json.dumps(asdict(module.config), indent=1) + "\n").encode())


def load_encoder(folder: Path) -> VLEncoder:
    """Load the encoder, frozen, in float32. Raises AdaptEditError if the folder has none."""
    encoder = VLEncoder(EncoderConfig(**_config(folder / "encoder")))
    encoder.load_state_dict(_tensors(folder / "encoder"))
    return encoder.requires_grad_(False).eval()


def load_objects(folder: Path) -> ObjectDecoder:
    """Load the object decoder, in float32. Raises AdaptEditError if the folder has none."""
    objects = ObjectDecoder(ObjectConfig(**_config(folder / "objects")))
    objects.load_state_dict(_tensors(folder / "objects"))
    return objects


def load(folder: Path = WEIGHTS) -> TinyBackbone:
    """Load the whole backbone, frozen, in float32. Raises AdaptEditError if a part is missing."""
    transformer = QwenImageTransformer2DModel(DiTConfig(**_config(folder / "transformer")))
    transformer.load_state_dict(_tensors(folder / "transformer"))
    decoder = PixelDecoder(DecoderConfig(**_config(folder / "decoder")))
    decoder.load_state_dict(_tensors(folder / "decoder"))
    backbone = TinyBackbone(load_encoder(folder), transformer, decoder, load_objects(folder))
    return backbone.requires_grad_(False).eval()


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").exists():
        raise AdaptEditError(f"no weights in {folder}: expected config.json and model.safetensors")
    try:
        config: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
    except (ValueError, RecursionError) as error:
        raise AdaptEditError(f"{folder / 'config.json'}: is damaged ({error})") from None
    return config


def _tensors(folder: Path) -> dict[str, Tensor]:
    path = folder / "model.safetensors"
    try:
        return {key: value.float() for key, value in load_file(path).items()}
    except SafetensorError as error:
        raise AdaptEditError(f"{path}: is damaged ({error})") from None


def _positions(h: int, w: int) -> Tensor:
    """(1, h * w, 32): sines and cosines of each token's row and column, at eight frequencies."""
    rows, columns = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    frequencies = torch.pi / 2 * 2.0 ** (torch.arange(_POSITION_CHANNELS // 4) / 2)  # half an octave apart
    angles = torch.stack([rows, columns], -1).reshape(1, h * w, 2, 1) * frequencies
    return torch.cat([angles.sin(), angles.cos()], -1).reshape(1, h * w, _POSITION_CHANNELS)
