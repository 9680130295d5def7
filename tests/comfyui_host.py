"""In a real ComfyUI: `python comfyui_host.py COMFYUI workflow|models ARGUMENTS`. See test_comfyui.py.

ComfyUI's modules have names such as `nodes` and `utils`, so this is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

COMFYUI = Path(sys.argv[1]).resolve()
PACKAGE = Path(__file__).parents[1] / "integrations" / "comfyui"


def start() -> Any:
    """ComfyUI's node table with our package in it, found by its own loader, on the CPU."""
    sys.path.insert(0, str(COMFYUI))
    import comfy.options

    comfy.options.enable_args_parsing(False)
    from comfy.cli_args import args

    args.cpu = True
    import nodes

    assert asyncio.run(nodes.load_custom_node(str(PACKAGE), module_parent="custom_nodes"))
    return nodes


class Server:
    """What `PromptExecutor` wants of the web server when nobody is connected."""

    client_id = last_node_id = last_prompt_id = None

    def send_sync(self, *_: Any) -> None:
        pass


def workflow(path: str, inputs: str, outputs: str) -> None:
    """Validates and runs an API-format workflow, as `POST /prompt` does; prints what became of it as JSON."""
    nodes = start()
    import execution
    import folder_paths

    for name in ("latent", "mask", "qwen", "post_processing"):  # in ComfyUI's own order
        file = COMFYUI / "comfy_extras" / f"nodes_{name}.py"
        assert asyncio.run(nodes.load_custom_node(str(file), module_parent="comfy_extras"))
    for set_folder, folder in (
        (folder_paths.set_input_directory, inputs),
        (folder_paths.set_output_directory, outputs),
        (folder_paths.set_temp_directory, outputs),
    ):
        set_folder(folder)
    prompt = json.loads(Path(path).read_text())
    valid, error, good_outputs, node_errors = asyncio.run(execution.validate_prompt("1", prompt, None))
    answer: dict[str, Any] = {"valid": valid, "error": error, "node_errors": node_errors}
    if valid:
        executor = execution.PromptExecutor(Server(), cache_args={"lru": 0, "ram": 0.0})
        executor.execute(prompt, "1", {}, good_outputs)
        answer["success"] = executor.success
        answer["errors"] = [data for event, data in executor.status_messages if event == "execution_error"]
    print("ANSWER " + json.dumps(answer, default=str))


def models(adapters: str) -> None:
    """ComfyUI's and diffusers' own DiTs with the same weights: does an adapter do the same in both?"""
    nodes = start()
    with torch.inference_mode():
        answer = {name: run(nodes, Path(adapters)) for name, run in COMPARISONS.items()}
    print("ANSWER " + json.dumps(answer))


H, W, TEXT, WIDTH = 4, 6, 11, 24  # tokens; the latents have twice as many rows and columns
HEADS = {"attention_head_dim": 32, "num_attention_heads": 2}


def qwen(nodes: Any, adapters: Path, zero: bool = False) -> dict[str, float]:
    """Qwen-Image-Edit; zero: as 2511 has it, its source tokens at time 0."""
    from comfy import supported_models
    from diffusers import QwenImageTransformer2DModel

    sizes = {"num_layers": 3, "joint_attention_dim": WIDTH, "axes_dims_rope": (8, 12, 12), **HEADS}
    torch.manual_seed(0)
    ours = QwenImageTransformer2DModel(in_channels=64, out_channels=16, zero_cond_t=zero, **sizes).eval()
    wake(ours)
    method = {"default_ref_method": "index_timestep_zero"} if zero else {}
    config = supported_models.QwenImage(
        {"image_model": "qwen_image", "in_channels": 64, "out_channels": 16, **sizes, **method}
    )
    theirs = filled(config, ours.state_dict())

    def velocity(x: Any, sigma: Any, context: Any, source: Any) -> Any:
        return ours(
            hidden_states=torch.cat([packed(x), packed(source)], dim=1),
            timestep=sigma.expand(len(x)),
            encoder_hidden_states=context,
            encoder_hidden_states_mask=None,
            img_shapes=[[(1, H, W), (1, H, W)]] * len(x),
            return_dict=False,
        )[0][:, : H * W]

    return compare(nodes, adapters, ours, theirs, velocity, frames=True)


def flux(nodes: Any, adapters: Path) -> dict[str, float]:
    """FLUX.1 Kontext."""
    import comfy.utils
    from comfy import supported_models
    from diffusers import FluxTransformer2DModel

    torch.manual_seed(0)
    ours = FluxTransformer2DModel(
        patch_size=1, in_channels=64, num_layers=2, num_single_layers=2, joint_attention_dim=WIDTH,
        pooled_projection_dim=24, guidance_embeds=True, axes_dims_rope=(8, 12, 12), **HEADS,
    ).eval()  # fmt: skip
    wake(ours)
    sizes = {
        "image_model": "flux", "in_channels": 16, "out_channels": 16, "vec_in_dim": 24,
        "context_in_dim": WIDTH, "hidden_size": 64, "mlp_ratio": 4.0, "num_heads": 2, "depth": 2,
        "depth_single_blocks": 2, "axes_dim": [8, 12, 12], "theta": 10000, "patch_size": 2,
        "qkv_bias": True, "guidance_embed": True, "txt_ids_dims": [],
    }  # fmt: skip
    config = supported_models.Flux(sizes)
    parts: dict[str, dict[int, Any]] = {}
    for name, target in comfy.utils.flux_to_diffusers(sizes).items():
        target, place, *change = (target, None) if isinstance(target, str) else target
        if name not in ours.state_dict():  # a ControlNet's
            continue
        weight = ours.state_dict()[name]
        parts.setdefault(target, {})[place[1] if place else 0] = change[0](weight) if change else weight
    weights = {name: torch.cat([of[row] for row in sorted(of)]) for name, of in parts.items()}
    theirs = filled(config, weights)
    rows, columns = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    ids = [torch.stack([torch.full_like(rows, i), rows, columns], dim=-1).reshape(-1, 3) for i in (0, 1)]

    def velocity(x: Any, sigma: Any, context: Any, source: Any) -> Any:
        return ours(
            hidden_states=torch.cat([packed(x), packed(source)], dim=1),
            timestep=sigma.expand(len(x)),
            encoder_hidden_states=context,
            pooled_projections=torch.zeros(len(x), 24),
            guidance=torch.full((len(x),), 3.5),
            img_ids=torch.cat(ids).float(),
            txt_ids=torch.zeros(TEXT, 3),
            return_dict=False,
        )[0][:, : H * W]

    return compare(nodes, adapters, ours, theirs, velocity, frames=False)


COMPARISONS = {
    "qwen": qwen,
    "qwen 2511": lambda nodes, adapters: qwen(nodes, adapters, zero=True),
    "flux": flux,
}


def wake(model: torch.nn.Module) -> None:
    """No weight that is zero at first may hide a difference."""
    for parameter in model.parameters():
        if not parameter.isfinite().all() or not parameter.any():
            parameter.data.normal_(std=0.05)


def filled(config: Any, weights: dict[str, Any]) -> Any:
    """A MODEL as a loader node returns it."""
    import comfy.model_management
    from comfy.model_patcher import ModelPatcher

    config.set_inference_dtype(torch.float32, None)
    model = config.get_model({}, "")
    model.diffusion_model.load_state_dict(weights, strict=False)
    missing = [name for name in model.diffusion_model.state_dict() if name not in weights]
    assert missing in ([], ["__index_timestep_zero__"]), missing
    cpu = comfy.model_management.get_torch_device()
    return ModelPatcher(model, load_device=cpu, offload_device=cpu)


def packed(latents: Any) -> Any:
    """(B, C, h, w) -> tokens (B, h/2 * w/2, 4 C)."""
    return torch.nn.functional.pixel_unshuffle(latents, 2).flatten(2).mT


def compare(
    nodes: Any, adapters: Path, ours: Any, theirs: Any, velocity: Any, frames: bool
) -> dict[str, float]:
    """Largest differences after three KSampler steps with guidance, a batch of two and a mask each."""
    import comfy.sample
    import comfy.samplers

    from adaptedit.adapter.model import AdaptEditAdapter

    adapter = AdaptEditAdapter.for_backbone(ours, "base", backbone_name="random")
    wake(adapter)
    folder = adapters / type(ours).__name__
    adapter.save_pretrained(folder)
    adapter.attach(ours)
    mask = torch.zeros(2, 16 * H, 16 * W)
    mask[0, 10:40, 20:70] = 1.0
    mask[1, 30:60, :33] = 1.0
    g = torch.Generator().manual_seed(3)
    latent, source = (torch.randn(2, 16, 2 * H, 2 * W, generator=g) for _ in range(2))
    source = source[:1]

    def shaped(latents: Any) -> Any:
        return latents.unsqueeze(2) if frames else latents

    extras = {"reference_latents": [shaped(source)], "guidance": 3.5, "pooled_output": torch.zeros(1, 24)}
    texts = [torch.randn(1, TEXT, WIDTH, generator=g) for _ in range(2)]
    positive, negative = ([[text, extras]] for text in texts)
    classes = nodes.NODE_CLASS_MAPPINGS

    def comfyui(model: Any) -> Any:
        given = {"samples": shaped(latent)}
        out = classes["KSampler"]().sample(
            model, 5, 3, 2.0, "euler", "simple", positive, negative, given, 1.0
        )[0]["samples"]
        return out.squeeze(2) if frames else out

    def diffusers(region: Any) -> Any:
        """The same Euler steps by hand, around diffusers' model."""
        sigmas = comfy.samplers.KSampler(theirs, 3, theirs.load_device, "euler", "simple", 1.0).sigmas
        noise = comfy.sample.prepare_noise(shaped(latent), 5).reshape(latent.shape)
        inner, reference = (theirs.model.process_latent_in(shaped(one)) for one in (latent, source))
        inner, reference = inner.reshape(latent.shape), reference.reshape(source.shape).expand_as(latent)
        x = noise * sigmas[0] + inner * (1 - sigmas[0])
        with adapter.region(region) if region is not None else nullcontext():
            for now, then in zip(sigmas[:-1], sigmas[1:], strict=True):
                yes, no = (velocity(x, now, t.expand(2, -1, -1), reference) for t in texts)
                guided = (no + 2.0 * (yes - no)).mT.unflatten(2, (H, W))
                x = x + (then - now) * torch.nn.functional.pixel_shuffle(guided, 2)
        return theirs.model.process_latent_out(shaped(x)).reshape(latent.shape)

    def applied(where: Any, strength: float) -> Any:
        return comfyui(classes["AdaptEditApply"]().apply(theirs, loaded, where, strength)[0])

    loaded = classes["AdaptEditLoadAdapter"]().load(str(folder))[0]
    plain, adapted = comfyui(theirs), applied(mask, 1.0)
    return {
        "plain": apart(plain, diffusers(None)),
        "adapted": apart(adapted, diffusers(mask)),
        "effect": apart(adapted, plain),
        "other mask": apart(applied(1 - mask, 1.0), adapted),
        "strength 0": apart(applied(mask, 0.0), plain),
        "input model": apart(comfyui(theirs), plain),
    }


def apart(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


if __name__ == "__main__":
    {"workflow": workflow, "models": models}[sys.argv[2]](*sys.argv[3:])
