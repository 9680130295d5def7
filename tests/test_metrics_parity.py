"""Ours against MagicBrush's evaluation/image_eval.py: the same pictures, the same random weights, to 1e-6.

The script's formulas, torchvision's transforms on PIL pictures, OpenAI's CLIP and DINO's ViT are written out
here from their published definitions, in float64; nothing of ours is used on their side.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import transformers
from PIL import Image
from scipy import spatial

from adaptedit.data.sample import EditSample
from adaptedit.evaluation.metrics.clip import Clip
from adaptedit.evaluation.metrics.dino import Dino
from adaptedit.evaluation.metrics.pixels import Pixels

CAPTION = "a red cube beside 2 green balls, on a table"
WIDTH, HEADS, LAYERS = 32, 4, 2
Weights = dict[str, torch.Tensor]


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Weights so large that different pictures look different."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        with torch.no_grad():
            if parameter.ndim >= 2:
                fan = parameter.shape[1:].numel() if "embed" not in name or "proj" in name else 4
                parameter.copy_(noise / math.sqrt(fan))
            else:
                parameter.copy_(0.1 * noise + (1.0 if "norm" in name and "weight" in name else 0.0))
    return model.eval()


def save_tokenizer(folder: Path) -> None:
    characters = [*"abcdefghijklmnopqrstuvwxyz0123456789,.", "re", "red</w>"]
    tokens = [*characters, *(f"{one}</w>" for one in characters[:-2]), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {token: index for index, token in enumerate(dict.fromkeys(tokens))}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\nr e\nre d</w>\n")
    tokenizer = transformers.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))
    tokenizer.save_pretrained(folder)


def save_clip(folder: Path) -> transformers.CLIPModel:
    save_tokenizer(folder)
    tokenizer = transformers.CLIPTokenizer.from_pretrained(folder)
    common = {
        "hidden_size": WIDTH,
        "intermediate_size": 48,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
    }
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = transformers.CLIPConfig(
        text_config=common | ids | {"vocab_size": len(tokenizer), "max_position_embeddings": 77},
        vision_config=common | {"image_size": 224, "patch_size": 32},
        projection_dim=16,
    )
    model = randomised(transformers.CLIPModel(config))
    model.save_pretrained(folder)
    return model


def save_dino(folder: Path, patch: int) -> transformers.ViTModel:
    config = transformers.ViTConfig(
        hidden_size=WIDTH,
        intermediate_size=48,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        image_size=224,
        patch_size=patch,
        layer_norm_eps=1e-6,
    )
    model = randomised(transformers.ViTModel(config, add_pooling_layer=False))
    model.save_pretrained(folder)
    return model


@pytest.fixture(scope="module")
def pair() -> tuple[Image.Image, Image.Image]:
    """A result of another size and shape than its target, both with texture at all scales."""
    rng = np.random.default_rng(3)

    def picture(width: int, height: int) -> Image.Image:
        coarse = Image.fromarray(rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)).resize((width, height))
        grain = rng.integers(-20, 21, (height, width, 3))
        return Image.fromarray((np.asarray(coarse, int) + grain).clip(0, 255).astype(np.uint8))

    return picture(301, 240), picture(350, 261)


# -- the other side


def tensor(image: Image.Image) -> torch.Tensor:
    """ToTensor, in float64."""
    return torch.from_numpy(np.asarray(image).transpose(2, 0, 1).copy()).double() / 255


def resized_and_cropped(image: Image.Image, resize: int, crop: int) -> torch.Tensor:
    """Compose([Resize(resize, BICUBIC), CenterCrop(crop), ToTensor()])"""
    w, h = image.size
    new_w, new_h = (resize, int(resize * h / w)) if w <= h else (int(resize * w / h), resize)
    pixels = tensor(image.resize((new_w, new_h), Image.BICUBIC))
    top, left = int(round((new_h - crop) / 2.0)), int(round((new_w - crop) / 2.0))
    return pixels[:, top : top + crop, left : left + crop]


def scaled(pixels: torch.Tensor, mean: list[float], std: list[float]) -> torch.Tensor:
    return (pixels - torch.tensor(mean).double()[:, None, None]) / torch.tensor(std).double()[:, None, None]


def norm(x: torch.Tensor, weights: Weights, name: str, eps: float) -> torch.Tensor:
    mean, variance = x.mean(-1, keepdim=True), x.var(-1, keepdim=True, unbiased=False)
    return (x - mean) / torch.sqrt(variance + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: torch.Tensor, weights: Weights, name: str) -> torch.Tensor:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attention(x: torch.Tensor, weights: Weights, names: list[str], causal: bool = False) -> torch.Tensor:
    q, k, v = (linear(x, weights, name).view(len(x), HEADS, -1).transpose(0, 1) for name in names[:3])
    scores = q @ k.transpose(1, 2) / math.sqrt(q.shape[-1])
    if causal:
        scores = scores + torch.full(scores.shape[1:], -torch.inf).double().triu(1)
    mixed = (scores.softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1)
    return linear(mixed, weights, names[3])


def clip_blocks(x: torch.Tensor, weights: Weights, tower: str, causal: bool) -> torch.Tensor:
    for layer in range(LAYERS):
        at = f"{tower}.encoder.layers.{layer}"
        names = [f"{at}.self_attn.{part}_proj" for part in ("q", "k", "v", "out")]
        x = x + attention(norm(x, weights, f"{at}.layer_norm1", 1e-5), weights, names, causal)
        hidden = linear(norm(x, weights, f"{at}.layer_norm2", 1e-5), weights, f"{at}.mlp.fc1")
        x = x + linear(hidden * torch.sigmoid(1.702 * hidden), weights, f"{at}.mlp.fc2")
    return x


def patches(pixels: torch.Tensor, weights: Weights, name: str, bias: torch.Tensor | None) -> torch.Tensor:
    kernel = weights[f"{name}.weight"]
    return F.conv2d(pixels[None], kernel, bias, stride=kernel.shape[-1])[0].flatten(1).T


def clip_image(image: Image.Image, weights: Weights) -> np.ndarray:
    """clip.load's preprocess and encode_image."""
    pixels = scaled(
        resized_and_cropped(image, 224, 224),
        [0.48145466, 0.4578275, 0.40821073],
        [0.26862954, 0.26130258, 0.27577711],
    )
    at = "vision_model.embeddings"
    tokens = patches(pixels, weights, f"{at}.patch_embedding", None)
    x = torch.cat([weights[f"{at}.class_embedding"][None], tokens])
    x = norm(x + weights[f"{at}.position_embedding.weight"], weights, "vision_model.pre_layrnorm", 1e-5)
    x = clip_blocks(x, weights, "vision_model", causal=False)
    x = norm(x[0], weights, "vision_model.post_layernorm", 1e-5)
    return (x @ weights["visual_projection.weight"].T).numpy()


def clip_text(ids: list[int], weights: Weights) -> np.ndarray:
    """encode_text: padded with zeros to 77, read at the highest id, the end of the text."""
    padded = torch.tensor(ids + [0] * (77 - len(ids)))
    at = "text_model.embeddings"
    x = weights[f"{at}.token_embedding.weight"][padded] + weights[f"{at}.position_embedding.weight"]
    x = norm(clip_blocks(x, weights, "text_model", causal=True), weights, "text_model.final_layer_norm", 1e-5)
    return (x[padded.argmax()] @ weights["text_projection.weight"].T).numpy()


def dino(image: Image.Image, weights: Weights) -> np.ndarray:
    """torch.hub's dino_vits16 with the script's transform."""
    pixels = scaled(resized_and_cropped(image, 256, 224), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    projection = "embeddings.patch_embeddings.projection"
    tokens = patches(pixels, weights, projection, weights[f"{projection}.bias"])
    x = torch.cat([weights["embeddings.cls_token"][0], tokens]) + weights["embeddings.position_embeddings"][0]
    for layer in range(LAYERS):
        at = f"layers.{layer}"
        names = [f"{at}.attention.{part}_proj" for part in ("q", "k", "v", "o")]
        x = x + attention(norm(x, weights, f"{at}.layernorm_before", 1e-6), weights, names)
        hidden = linear(norm(x, weights, f"{at}.layernorm_after", 1e-6), weights, f"{at}.mlp.fc1")
        x = x + linear(F.gelu(hidden), weights, f"{at}.mlp.fc2")
    return norm(x, weights, "layernorm", 1e-6)[0].numpy()


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - spatial.distance.cosine(a, b)


def in_float64(model: torch.nn.Module) -> Weights:
    return {name: value.double() for name, value in model.state_dict().items()}


# -- the comparison


def test_pixel_distances(pair) -> None:
    result, target = pair
    scores = Pixels()(EditSample("a", "", target, target), result, None)
    error = tensor(result.resize(target.size)) - tensor(target)
    assert scores["L1"] == pytest.approx(float(error.abs().mean()), abs=1e-6)
    assert scores["L2"] == pytest.approx(float((error**2).mean()), abs=1e-6)


def test_clip(pair, tmp_path) -> None:
    result, target = pair
    model = save_clip(tmp_path)
    scores = Clip(str(tmp_path))(EditSample("a", "", target, target, target_caption=CAPTION), result, None)
    weights = in_float64(model)
    ours, theirs = clip_image(result, weights), clip_image(target, weights)
    ids = transformers.CLIPTokenizer.from_pretrained(tmp_path)(CAPTION)["input_ids"]
    assert ids[-1] == max(ids) and len(set(ids)) > 8
    assert scores["CLIP-I"] == pytest.approx(similarity(ours, theirs), abs=1e-6)
    assert scores["CLIP-T"] == pytest.approx(similarity(ours, clip_text(ids, weights)), abs=1e-6)
    assert scores["CLIP-I"] < 0.99, "the pictures must differ for the comparison to mean something"


def test_dino(pair, tmp_path) -> None:
    result, target = pair
    model = save_dino(tmp_path, patch=16)
    scores = Dino(str(tmp_path))(EditSample("a", "", target, target), result, None)
    weights = in_float64(model)
    expected = similarity(dino(result, weights), dino(target, weights))
    assert scores["DINO"] == pytest.approx(expected, abs=1e-6)
    assert scores["DINO"] < 0.99 and scores["DINO-no-crop"] != scores["DINO"]
