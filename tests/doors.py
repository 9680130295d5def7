"""What each option of an edit and of loading is called at each door, or why a door has no word for it."""

from __future__ import annotations

from typing import Any

from PIL import Image

from adaptedit.region import Region
from test_comfyui import image, mask

SIZE = (96, 80)
BOX = (30, 20, 60, 50)

# What each option is set to. `references` and regions are files, and compared by their sizes and boxes.
MEANT: dict[str, Any] = {
    "region": BOX,
    "everywhere": True,
    "threshold": 0.25,
    "include": [(40, 30)],
    "exclude": [(30, 20, 40, 30)],
    "within": BOX,
    "invert": True,
    "grow": 3.0,
    "preserve": "latent",
    "steps": 3,
    "guidance": 4.5,
    "negative_prompt": "blurry",
    "references": [SIZE],
    "adapter_scale": 0.5,
    "seed": 5,
    "candidates": 2,
    "feather": 2.5,
    "context": 1.5,
    "backbone_arguments": {"max_sequence_length": 256},
}
LOADED: dict[str, Any] = {
    "backbone": "my/editor",
    "adapter": "my/adapter",
    "revision": "main",
    "device": "cuda:1",
    "dtype": "float32",
    "quantize": "int8",
    "offload": "model",
    "transformer": "other.gguf",
    "loras": ("style.safetensors=0.5", "fast.safetensors"),
}

_BY_PYTHON_ONLY = "arguments of one diffusers class: for programs"
_PAINTED = "painted and erased on the page"
_BY_MASKS = "ComfyUI has nodes that draw, combine, invert and limit masks"

# Door -> option -> how the door is told, or why it has no word for it.
DOORS: dict[str, dict[str, Any]] = {
    "edit": {
        "region": ["--region", "mask.png"],
        "everywhere": ["--everywhere"],
        "threshold": ["--threshold", "0.25"],
        "include": ["--include", "40,30"],
        "exclude": ["--exclude", "30,20,40,30"],
        "within": ["--within", "mask.png"],
        "invert": ["--invert"],
        "grow": ["--grow", "3"],
        "preserve": ["--preserve", "latent"],
        "steps": ["--steps", "3"],
        "guidance": ["--guidance", "4.5"],
        "negative_prompt": ["--negative-prompt", "blurry"],
        "references": ["--reference", "picture.png"],
        "adapter_scale": ["--adapter-scale", "0.5"],
        "seed": ["--seed", "5"],
        "candidates": ["-n", "2"],
        "feather": ["--feather", "2.5"],
        "context": ["--context", "1.5"],
        "backbone_arguments": _BY_PYTHON_ONLY,
    },
    "batch": {
        "region": {"region": "mask.png"},
        "everywhere": {"everywhere": True},
        "threshold": {"threshold": 0.25},
        "include": {"include": [[40, 30]]},
        "exclude": {"exclude": [[30, 20, 40, 30]]},
        "within": {"within": "mask.png"},
        "invert": {"invert": True},
        "grow": {"grow": 3},
        "preserve": {"preserve": "latent"},
        "steps": {"steps": 3},
        "guidance": {"guidance": 4.5},
        "negative_prompt": {"negative_prompt": "blurry"},
        "references": {"references": ["picture.png"]},
        "adapter_scale": {"adapter_scale": 0.5},
        "seed": {"seed": 5},
        "candidates": {"candidates": 2},
        "feather": {"feather": 2.5},
        "context": {"context": 1.5},
        "backbone_arguments": _BY_PYTHON_ONLY,
    },
    "server": {
        "region": {"mask": "mask"},
        "everywhere": {"everywhere": "true"},
        "threshold": {"threshold": 0.25},
        "include": {"include": "40,30"},
        "exclude": {"exclude": "30,20,40,30"},
        "within": "a request has one mask, OpenAI's; ask /v1/regions and limit its mask",
        "invert": {"invert": "true"},
        "grow": {"grow": 3},
        "preserve": {"preserve": "latent"},
        "steps": {"steps": 3},
        "guidance": {"guidance": 4.5},
        "negative_prompt": {"negative_prompt": "blurry"},
        "references": {"image": "two"},
        "adapter_scale": {"adapter_scale": 0.5},
        "seed": {"seed": 5},
        "candidates": {"n": 2},
        "feather": {"feather": 2.5},
        "context": {"context": 1.5},
        "backbone_arguments": _BY_PYTHON_ONLY,
    },
    "page": {
        "region": _PAINTED,
        "everywhere": "offered where the instruction means the whole picture; see tests/test_ui.py",
        "threshold": {"threshold": 0.25},
        "include": _PAINTED,
        "exclude": _PAINTED,
        "within": _PAINTED,
        "invert": _PAINTED,
        "grow": {"grow": 3},
        "preserve": {"preserve": "latent"},
        "steps": {"steps": "3"},
        "guidance": {"guidance": "4.5"},
        "negative_prompt": {"negative_prompt": "blurry"},
        "references": "the page holds one picture; the command line and the server take more",
        "adapter_scale": {"adapter_scale": "0.5"},
        "seed": {"seed": "5"},
        "candidates": {"candidates": 2},
        "feather": {"feather": "2.5"},
        "context": {"context": 1.5},
        "backbone_arguments": _BY_PYTHON_ONLY,
    },
    "ComfyUI": {
        "region": {"mask": mask(SIZE, BOX)},
        "everywhere": {"everywhere": True},
        "threshold": "of the node Predict Region, see tests/test_comfyui.py",
        "include": _BY_MASKS,
        "exclude": _BY_MASKS,
        "within": _BY_MASKS,
        "invert": _BY_MASKS,
        "grow": {"grow": 3.0},
        "preserve": {"preserve": "latent"},
        "steps": {"steps": 3},
        "guidance": {"guidance": 4.5},
        "negative_prompt": {"negative_prompt": "blurry"},
        "references": {"references": image(size=SIZE)},
        "adapter_scale": {"adapter_scale": 0.5},
        "seed": {"seed": 5},
        "candidates": "a batch of pictures gives a batch of results, one each",
        "feather": {"feather": 2.5},
        "context": {"context": 1.5},
        "backbone_arguments": _BY_PYTHON_ONLY,
    },
    "Python": {
        "region": {"region": Region.from_box(BOX, SIZE)},
        "within": {"within": Region.from_box(BOX, SIZE)},
        "references": {"references": [Image.new("RGB", SIZE)]},
        "steps": {"num_inference_steps": 3},
        "guidance": {"guidance_scale": 4.5},
        "candidates": {"num_images_per_prompt": 2},
        "backbone_arguments": {"max_sequence_length": 256},
    },
    "diffusers": {
        "region": {"mask_image": Region.from_box(BOX, SIZE).to_image()},
        "within": {"within": Region.from_box(BOX, SIZE)},
        "references": {"references": [Image.new("RGB", SIZE)]},
        "steps": {"num_inference_steps": 3},
        "guidance": {"guidance_scale": 4.5},
        "candidates": {"num_images_per_prompt": 2},
        "backbone_arguments": {"max_sequence_length": 256},
    },
}
for _door in ("Python", "diffusers"):  # the other options have their own names there
    DOORS[_door] = {name: {name: value} for name, value in MEANT.items()} | DOORS[_door]
