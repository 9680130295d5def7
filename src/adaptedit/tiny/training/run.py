"""Run one stage of a recipe: load what earlier stages saved, train, and save the weights."""

from __future__ import annotations

import socket
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import Tensor
from torch.multiprocessing.spawn import ProcessRaisedException, spawn

from adaptedit.adapter.model import AdaptEditAdapter
from adaptedit.data.render.pairs import RenderedPairs
from adaptedit.data.sprites import assets
from adaptedit.data.sprites.mixed import MixedPairs
from adaptedit.data.sprites.phrases import KINDS
from adaptedit.data.sprites.synthetic import SyntheticPairs
from adaptedit.data.sprites.things import Things
from adaptedit.errors import AdaptEditError
from adaptedit.files import write_atomically
from adaptedit.tiny.backbone import TinyBackbone, dit_config, load, load_encoder, load_objects, save_part
from adaptedit.tiny.codec import BlockDCT
from adaptedit.tiny.decoder import DecoderConfig, PixelDecoder
from adaptedit.tiny.dit import QwenImageTransformer2DModel
from adaptedit.tiny.encoder import VLEncoder
from adaptedit.tiny.objects import ObjectConfig, ObjectDecoder
from adaptedit.tiny.training.adapter import train_adapter
from adaptedit.tiny.training.backbone import initialise, train_backbone
from adaptedit.tiny.training.configs import (
    ADAPTER_JITTER,
    BACKBONE_KINDS,
    CROWDS,
    RENDERED_SHARE,
    START_SEED,
    Recipe,
    recipe,
)
from adaptedit.tiny.training.encoder import train_encoder
from adaptedit.tiny.training.objects import Codes, load_codes, save_codes, train_objects
from adaptedit.training.processes import join, leave

STAGES = ("encoder", "objects", "backbone", "adapter")


def run_stage(
    stage: str,
    config: str,
    folder: Path,
    *,
    processes: int = 1,
    start: Path | None = None,
    assets_folder: Path | None = None,
    renders: Path | None = None,
) -> Path:
    """Train one stage and return the folder with its weights, folder/weights.

    That folder is laid out as the shipped one. It also has what later stages start from:
    predictor.safetensors, the MaskPredictor that was trained with the encoder, and codes.safetensors, the
    code of each thing that the object decoder has learnt.

    A stage that was killed continues from its last checkpoint.

    stage: one of `STAGES`. config: a name in `RECIPES`. folder: where everything is written.
    processes: each has one core; their gradients are averaged.
    start: a folder of weights from which the stage starts, instead of new ones.
    assets_folder: where the sprites are, if not at their usual place.
    renders: a folder of rendered pairs, which are mixed in.

    Raises AdaptEditError if an earlier stage or the assets are missing.
    """
    recipe(config)
    assets.load(assets_folder)
    arguments = (stage, config, folder, processes, start, assets_folder, renders, _free_port())
    if processes == 1:
        _worker(0, *arguments)
    else:
        try:
            spawn(_worker, arguments, nprocs=processes)  # type: ignore[no-untyped-call]
        except ProcessRaisedException as error:
            kind, _, message = str(error).strip().splitlines()[-1].partition(": ")
            if kind.endswith("AdaptEditError"):
                raise AdaptEditError(message) from None
            raise
    return folder / "weights"


def _worker(
    rank: int,
    stage: str,
    config: str,
    folder: Path,
    processes: int,
    start: Path | None,
    assets_folder: Path | None,
    renders: Path | None,
    port: int,
) -> None:
    chosen, weights = recipe(config), folder / "weights"
    if processes > 1:
        join(rank, processes, f"tcp://127.0.0.1:{port}")
    torch.manual_seed(START_SEED)
    jitter = ADAPTER_JITTER if stage == "adapter" else 0.0
    kinds = BACKBONE_KINDS if stage == "backbone" else KINDS
    synthetic = SyntheticPairs("train", assets.load(assets_folder), jitter=jitter, crowds=CROWDS, kinds=kinds)
    pairs = MixedPairs(synthetic, RenderedPairs(renders), RENDERED_SHARE) if renders else synthetic
    if stage == "encoder":
        backbone = load(start) if start else fresh_backbone(chosen)
        encoder = backbone.encoder.requires_grad_(True).train()
        predictor = _adapter(backbone, chosen, start).mask_predictor
        trainer = train_encoder(chosen.encoder, folder / stage, pairs, encoder, predictor)
        if trainer.rank == 0:
            save_part(encoder, weights / "encoder")
            write_atomically(weights / "predictor.safetensors", save(predictor.state_dict()))
    elif stage == "objects":
        objects = fresh_backbone(chosen).objects
        codes = Codes(len(synthetic.labels), objects.config.code)
        trainer = train_objects(chosen.objects, folder / stage, Things(synthetic), objects, codes)
        if trainer.rank == 0:
            save_part(objects, weights / "objects")
            save_codes(codes, weights)
    elif stage == "backbone":
        backbone = load(start) if start else fresh_backbone(chosen)
        backbone.encoder = load_encoder(weights)
        dictionary = start if start and not (weights / "codes.safetensors").exists() else weights
        codes = load_codes(dictionary, len(synthetic.labels))
        backbone.objects = load_objects(dictionary)
        trainer = train_backbone(chosen.backbone, folder / stage, pairs, backbone, codes)
        if trainer.rank == 0:
            save_codes(codes, weights)
            save_part(backbone.transformer, weights / "transformer")
            save_part(backbone.decoder, weights / "decoder")
            save_part(backbone.objects, weights / "objects")
    elif stage == "adapter":
        backbone = load(weights)
        adapter = _adapter(backbone, chosen, start)
        adapter.mask_predictor.load_state_dict(_predictor(weights))
        trainer = train_adapter(chosen.adapter, folder / stage, pairs, backbone, adapter)
        if trainer.rank == 0:
            adapter.save_pretrained(weights / "adapter", torch.float16)
    else:
        raise AdaptEditError(f"unknown stage {stage!r}: choose one of {', '.join(STAGES)}")
    if processes > 1:
        leave()


def _adapter(backbone: TinyBackbone, chosen: Recipe, start: Path | None) -> AdaptEditAdapter:
    if start:
        return AdaptEditAdapter.from_pretrained(start / "adapter").float()
    return AdaptEditAdapter.for_backbone(backbone, chosen.preset, backbone_name=backbone.name)


def _predictor(weights: Path) -> dict[str, Tensor]:
    if not (file := weights / "predictor.safetensors").exists():
        raise AdaptEditError(f"no {file.name} in {weights}: train the encoder first")
    return load_file(file)


def fresh_backbone(chosen: Recipe) -> TinyBackbone:
    """A backbone with new weights, whose edits change nothing yet."""
    encoder, decoder = VLEncoder(chosen.encoder_model), PixelDecoder(DecoderConfig())
    objects = ObjectDecoder(ObjectConfig())
    sizes = dit_config(
        chosen.width,
        chosen.layers,
        text_dim=chosen.encoder_model.width,
        codec=BlockDCT(),
        features=decoder.config.features,
        code=objects.config.code,
    )
    transformer = QwenImageTransformer2DModel(sizes)
    initialise(transformer)
    return TinyBackbone(encoder, transformer, decoder, objects)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
