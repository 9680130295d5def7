"""LoRA weights on an editor, and the settings that those which save steps were trained for."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adaptedit.backbones.diffusers.backbone import DiffusersBackbone
from adaptedit.errors import AdaptEditError, out_of_memory
from adaptedit.extras import needed
from adaptedit.hub import explained, first_line, is_hub_id

_SAVED = "pytorch_lora_weights.safetensors"  # diffusers' own name
_HUB_FILE = re.compile(r"([\w.-]+/[\w.-]+)/(.+\.safetensors)")


@dataclass(frozen=True)
class FewSteps:
    """A family of LoRA weights that save steps.

    name: how its files and repositories are called; the group "steps" is their number, else `steps` is.
    weight: where the user gives none. arguments: of the pipeline. scheduler: what its config has otherwise.
    """

    name: str
    steps: int = 8
    weight: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    scheduler: Mapping[str, Any] = field(default_factory=dict)


FEW_STEPS = (
    # ModelTC/Qwen-Image-Lightning, generate_with_diffusers.py: trained with shift 3, without guidance
    FewSteps(
        r"qwen.*lightning(.*?(?P<steps>\d+)[-_]?steps?)?",
        arguments={"true_cfg_scale": 1.0},
        scheduler={
            "base_shift": math.log(3),
            "max_shift": math.log(3),
            "shift": 1.0,
            "shift_terminal": None,
            "use_dynamic_shifting": True,
            "time_shift_type": "exponential",
        },
    ),
    # alimama-creative/FLUX.1-Turbo-Alpha, its model card: 8 steps; the distilled guidance stays
    FewSteps(r"flux.*turbo[-_]?alpha"),
    # ByteDance/Hyper-SD, its model card: 8 or 16 steps at weight 0.125; the distilled guidance stays
    FewSteps(r"hyper[-_]flux.*?(?P<steps>\d+)[-_]?steps?", weight=0.125),
)


def check_loras(loras: Sequence[str]) -> None:
    """Before the editor is loaded, which takes long: AdaptEditError for a weight that is none, a file that is
    not there, or without peft."""
    for given in loras:
        _source(parse(given)[0])
    if loras:
        needed("peft", "a LoRA", "gpu")


def add_loras(backbone: DiffusersBackbone, loras: Sequence[str], **hub: Any) -> None:
    """Puts them on the backbone's pipeline: each a file, a folder, a hub id or a hub id and a file in it
    ("owner/name/file.safetensors"), with "=WEIGHT" after it or not.

    One of `FEW_STEPS` brings its steps, guidance and schedule as the backbone's defaults. hub: token and the
    like. AdaptEditError if there is none such, or it was made for another model.
    """
    if not loras:
        return
    pipe = backbone.pipe
    if not hasattr(pipe, "load_lora_weights"):
        raise AdaptEditError(f"diffusers loads no LoRA into {type(pipe).__name__}; leave out --lora")
    weights = {}
    for number, given in enumerate(loras):
        name, weight = parse(given)
        found = few_steps(name)
        _load(pipe, name, f"lora{number}", hub)
        weights[f"lora{number}"] = weight if weight is not None else found[0].weight if found else 1.0
        if found:
            row, steps = found
            backbone.defaults |= {"num_inference_steps": steps, **row.arguments}
            if row.scheduler:
                pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config, **row.scheduler)
    pipe.set_adapters(list(weights), list(weights.values()))


def parse(given: str) -> tuple[str, float | None]:
    """ "NAME=WEIGHT" or "NAME". AdaptEditError if the weight is no finite number."""
    if not given.strip():
        raise AdaptEditError("--lora is empty; give a .safetensors file, a folder or a hub id")
    name, sign, text = given.rpartition("=")
    if not sign or Path(given).exists():
        return given, None
    try:
        weight = float(text)
    except ValueError:
        weight = math.nan
    if not math.isfinite(weight) or not name:
        raise AdaptEditError(f"--lora {given}: the weight after the last = must be a number, such as 0.8")
    return name, weight


def few_steps(name: str) -> tuple[FewSteps, int] | None:
    """The row of a file or repository, and its number of steps."""
    for row in FEW_STEPS:
        for part in (Path(name).name, name):  # a folder's steps count only if the file names none
            if match := re.search(row.name, part, re.IGNORECASE):
                return row, int(match.groupdict().get("steps") or row.steps)
    return None


def _source(name: str) -> tuple[str, dict[str, str]]:
    """What diffusers loads it from, and the arguments that say which file there."""
    if not Path(name).exists():
        if file := _HUB_FILE.fullmatch(name):
            return file[1], {"weight_name": file[2]}
        if not is_hub_id(name):
            raise AdaptEditError(f"there is no LoRA {name}; give a .safetensors file, a folder or a hub id")
    if Path(name).is_dir():
        return name, {"weight_name": _only_file(Path(name))}
    return name, {}


def _only_file(folder: Path) -> str:
    """The LoRA in it: the file that diffusers saves, else the only one."""
    files = sorted(one.name for one in folder.glob("*.safetensors"))
    if _SAVED in files:
        return _SAVED
    if len(files) != 1:
        found = f"several .safetensors files ({', '.join(files)})" if files else "no .safetensors file"
        raise AdaptEditError(f"the folder {folder} holds {found}; give --lora the file of the LoRA")
    return files[0]


def _load(pipe: Any, name: str, adapter_name: str, hub: dict[str, Any]) -> None:
    source, file = _source(name)
    where = hub | file
    other = f"{name} is no LoRA for {type(pipe.transformer).__name__}"
    with explained(name), warnings.catch_warnings():
        # peft expects one set of weights on a model; diffusers names each
        warnings.filterwarnings("ignore", message="Already found a `peft_config`", category=UserWarning)
        try:
            pipe.load_lora_weights(source, adapter_name=adapter_name, **where)
            found = pipe.lora_state_dict(source, **where)
        except (KeyError, TypeError, AttributeError, IndexError, NotImplementedError) as error:
            raise AdaptEditError(f"{other}: {first_line(error)}") from error
        except (ValueError, RuntimeError) as error:
            if out_of_memory(error):
                raise
            raise AdaptEditError(f"{other}: {first_line(error)}") from error
    # diffusers leaves out what has no place, and Qwen-Image and FLUX.1 share the names of some layers
    weights = found[0] if isinstance(found, tuple) else found
    ends = ("transformer.", ".lora_B.weight")
    layers = {key.removeprefix(ends[0]).removesuffix(ends[1]) for key in weights if key.endswith(ends[1])}
    places = {path for path, part in pipe.transformer.named_modules() if hasattr(part, "lora_B")}
    if not layers:
        raise AdaptEditError(f"{other}: it holds no LoRA weights of a DiT")
    homeless = {layer for layer in layers - places if not layer.startswith("text_encoder")}
    if homeless:
        raise AdaptEditError(f"{other}: {len(homeless)} of its {len(layers)} layers have no place there")
