"""The embedded editor: diffusers' own Qwen-Image DiT class in miniature, its encoder, codec and decoder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers import QwenImageTransformer2DModel
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
from adaptedit.tiny.encoder import EncoderConfig, VLEncoder
from adaptedit.tiny.inpaint.patches import borrow
from adaptedit.tiny.objects import FRAME, ObjectConfig, ObjectDecoder, Objects, Votes
from adaptedit.tiny.text import TextEncoder

WEIGHTS = Path(__file__).parent / "weights"
_POSITION_CHANNELS = 32  # sin/cos of a token's place, appended to its latent
_SMALLEST_T = 0.05  # velocity divides by t
_MATTE = 16  # matte values per 8x8 block, one for 2x2 pixels


def dit_config(
    width: int = 192, layers: int = 6, *, text_dim: int = 192, codec: BlockDCT, features: int, code: int
) -> dict[str, Any]:
    """Arguments of QwenImageTransformer2DModel; `width` is a multiple of 64, `features` the decoder's, `code`
    the object decoder's."""
    return {
        "patch_size": 2,
        "in_channels": codec.token_channels + _POSITION_CHANNELS,
        "out_channels": codec.channels + _MATTE + features + 1 + FRAME + code,
        "num_layers": layers,
        "attention_head_dim": 64,
        "num_attention_heads": width // 64,
        "joint_attention_dim": text_dim,
        "axes_dims_rope": (8, 28, 28),
    }


@dataclass(frozen=True)
class Said:
    """What the DiT says of the clean picture: change, matte, features (B, N, 4, C), for each of a token's 2x2
    blocks, and what the blocks' objects are."""

    change: Tensor
    matte: Tensor
    features: Tensor
    votes: Votes


class TinyBackbone(nn.Module):
    """A `Backbone` (see backbones/base.py) at 128x128 pixels, an 8x8 token grid.

    Its DiT predicts a *change* to the source's latents, a *matte*, how much of the source goes, *objects*,
    and *features* for a decoder, from which the velocity follows: sketch = source * (1 - matte) + change,
    with the objects on it; x0 = sketch + decoder(features, source, sketch), the ground borrowed from beside
    where something goes; velocity = (latents - x0) / t.
    Predicting the clean picture instead of the velocity suits a narrow model with wide patches; predicting it
    relative to the source spares it learning to copy; with the matte an object goes without a trace, which a
    change alone would have to cancel edge by edge; and the decoders draw what tokens of 16 pixels can only
    sketch (our choice; real backbones predict the velocity).
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
        """In one step unless told otherwise. It has no options."""
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
        """Pictures (B, 3, H, W) in [0, 1] and their B instructions -> states."""
        text, mask = self.text(prompts)
        states, mask = self.encoder(pixels, text, mask)
        return PromptStates(states, mask, self.grid[0] * self.grid[1])

    def predict_target(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        """The clean latents that the DiT expects, (B, N, C), from noisy ones at `timestep` (B,) in [0, 1]."""
        said = self.say(latents, source_latents, states, timestep)
        return self.draw(said, source_latents, said.votes.counted(), borrowing=True)

    def say(self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor) -> Said:
        """What the DiT says, arguments as of `predict_target`."""
        b, n, _ = latents.shape
        position = self.position.expand(b, -1, -1).to(latents.dtype)
        sequence = torch.cat(
            [torch.cat([latents, position], -1), torch.cat([source_latents, position], -1)], 1
        )
        mask = states.attention_mask
        output: Tensor = self.transformer(
            hidden_states=sequence,
            encoder_hidden_states=states.hidden_states.to(latents.dtype),
            encoder_hidden_states_mask=None if bool(mask.all()) else mask,
            timestep=timestep.to(latents.dtype),
            img_shapes=[[(1, *self.grid), (1, *self.grid)]] * b,
            return_dict=False,
        )[0]
        blocks = output[:, :n].float().reshape(b, n, 4, -1)
        votes = 1 + FRAME + self.objects.config.code
        sizes = [self.codec.channels, _MATTE, self.decoder.config.features, votes]
        change, matte, features, voted = torch.split(blocks, sizes, -1)
        return Said(change, matte, features, Votes.of(block_pixels(voted, self.grid)))

    def draw(
        self, said: Said, source_latents: Tensor, objects: Objects, *, borrowing: bool = False
    ) -> Tensor:
        """What the DiT says, with these objects -> clean latents (B, N, C). borrowing: the ground's detail
        from elsewhere in the picture where something goes; not in training, where the DiT learns its tone."""
        source = self.decode_latents(source_latents.float())
        matte = matte_pixels(said.matte, self.grid)
        sketch = (source - 0.5) * (1 - matte) + self.decode_latents(said.change.flatten(2))
        sketch, covered = self.objects(objects, source, sketch, matte)
        drawn = sketch + self.decoder(block_pixels(said.features, self.grid), source, sketch)
        if borrowing:
            drawn = borrow(source, drawn, matte, covered)
        return source_latents + self.codec.encode(0.5 + drawn - source)

    def velocity(
        self, latents: Tensor, source_latents: Tensor, states: PromptStates, timestep: Tensor
    ) -> Tensor:
        """Latents (B, N, C) at `timestep` (B,) in [0, 1] -> velocity (B, N, C)."""
        target = self.predict_target(latents, source_latents, states, timestep)
        return (latents - target) / timestep.clamp(min=_SMALLEST_T)[:, None, None]


def matte_pixels(matte: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, N, 4, 16) as the DiT says it -> (B, 1, H, W) in (-1, 1); 0 keeps the source, 1 takes it away."""
    cells = F.pixel_shuffle(block_pixels(matte, grid), 4)
    return F.interpolate(cells.tanh(), scale_factor=2, mode="bilinear")


def block_pixels(values: Tensor, grid: tuple[int, int]) -> Tensor:
    """(B, N, 4, C), C values for each of a token's 2x2 blocks -> (B, C, 2 h, 2 w), where they lie."""
    h, w = grid
    blocks = values.reshape(-1, h, w, 2, 2, values.shape[-1])
    return blocks.permute(0, 5, 1, 3, 2, 4).reshape(-1, values.shape[-1], 2 * h, 2 * w)


def save_part(
    module: VLEncoder | QwenImageTransformer2DModel | PixelDecoder | ObjectDecoder, folder: Path
) -> None:
    """Write one part in half precision: model.safetensors + config.json."""
    config = module.config
    config = (
        asdict(config) if isinstance(config, EncoderConfig | DecoderConfig | ObjectConfig) else dict(config)
    )
    tensors = {key: value.half().contiguous() for key, value in module.state_dict().items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / "model.safetensors", save(tensors))
    write_atomically(folder / "config.json", (json.dumps(config, indent=1) + "\n").encode())


def load_encoder(folder: Path) -> VLEncoder:
    """A frozen encoder in float32. Raises AdaptEditError if the folder has none."""
    encoder = VLEncoder(EncoderConfig(**_config(folder / "encoder")))
    encoder.load_state_dict(_tensors(folder / "encoder"))
    return encoder.requires_grad_(False).eval()


def load_objects(folder: Path) -> ObjectDecoder:
    """An object decoder in float32. Raises AdaptEditError if the folder has none."""
    objects = ObjectDecoder(ObjectConfig(**_config(folder / "objects")))
    objects.load_state_dict(_tensors(folder / "objects"))
    return objects


def load(folder: Path = WEIGHTS) -> TinyBackbone:
    """The frozen backbone in float32. Raises AdaptEditError if the folder has none."""
    config = {k: v for k, v in _config(folder / "transformer").items() if not k.startswith("_")}
    transformer = QwenImageTransformer2DModel(**config)
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
    """(1, h * w, 32): sines and cosines of the row and of the column at eight half-octaves."""
    rows, columns = torch.meshgrid((torch.arange(h) + 0.5) / h, (torch.arange(w) + 0.5) / w, indexing="ij")
    octaves = torch.pi / 2 * 2.0 ** (torch.arange(_POSITION_CHANNELS // 4) / 2)
    angles = torch.stack([rows, columns], -1).reshape(1, h * w, 2, 1) * octaves
    return torch.cat([angles.sin(), angles.cos()], -1).reshape(1, h * w, _POSITION_CHANNELS)
