"""What the MaskPredictor reads, from the editing pipeline itself: run it as for an edit, stop it early."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from adaptedit.backbones.base import PromptStates
from adaptedit.backbones.layouts import Layout
from adaptedit.backbones.patterns import blocks_of, spec_of

DEPTH = 1 / 3  # share of the blocks that a grounding pass runs

Run = Callable[[], Any]  # calls the pipeline as for an edit


def vl_states(pipe: Any, run: Run) -> PromptStates:
    """Last hidden states of the pipeline's vision-language encoder, which it runs on (picture, prompt).

    The picture's tokens first, then the rest from where the picture starts: the fixed words of the template
    before it are left out, as in the states that the DiT gets. Of several pictures it is the first.
    Cost: one pass of the encoder; the DiT does not run.
    """
    inputs, outputs = _until(pipe, pipe.text_encoder, run)
    config = pipe.text_encoder.config
    states, ids = outputs.hidden_states[-1][:1], inputs["input_ids"][0]
    real = inputs["attention_mask"][0].bool()
    patches = int(inputs["image_grid_thw"][0].prod())
    place = (ids == config.image_token_id).nonzero()[:, 0]
    place = place[: patches // config.vision_config.spatial_merge_size**2]

    words = torch.arange(len(ids), device=ids.device) >= place[0] - 1  # 1: the token that starts a picture
    words[place] = False
    order = torch.cat([place, words.nonzero()[:, 0]])
    return PromptStates(states[:, order], real[None, order], len(place))


def dit_states(pipe: Any, run: Run) -> PromptStates:
    """The DiT's own states after a third of its blocks: the source's tokens, then the text's.

    One truncated pass at pure noise. Cost: a third of a denoising step (without guidance), and the work
    before the first step: encoding prompt and picture. A DiT that has the source in its channels (Fill) has
    it in the target's tokens.
    """
    blocks = blocks_of(pipe.transformer)
    stream, block = blocks[max(1, round(DEPTH * len(blocks))) - 1]
    signature = inspect.signature(type(pipe.transformer).forward)
    layouts: list[Layout] = []

    def note_layout(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        arguments = signature.bind_partial(module, *args, **kwargs).arguments
        layouts.append(spec_of(module).layout(module, arguments))

    handle = pipe.transformer.register_forward_pre_hook(note_layout, with_kwargs=True)
    try:
        _, output = _until(pipe, block, run)
    finally:
        handle.remove()
    layout = layouts[-1]
    if stream.output_index is None:  # one stream, [text, picture]
        text, picture = output[:, : layout.num_text], output[:, layout.num_text :]
    else:
        text, picture = output[1 - stream.output_index], output[stream.output_index]
    source = picture[:, layout.source or slice(layout.start, layout.start + layout.length)]
    states: Tensor = torch.cat([source, text], dim=1)[:1]
    return PromptStates(states, states.new_ones(states.shape[:2], dtype=torch.bool), source.shape[1])


class _Reached(Exception):
    def __init__(self, inputs: dict[str, Any], output: Any) -> None:
        super().__init__()
        self.inputs, self.output = inputs, output


def _until(pipe: Any, module: nn.Module, run: Run) -> tuple[dict[str, Any], Any]:
    """Run until `module` has been called once; its keyword arguments and what it returned."""

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        raise _Reached(kwargs, output)

    handle = module.register_forward_hook(stop, with_kwargs=True)
    try:
        run()
    except _Reached as reached:
        return reached.inputs, reached.output
    finally:
        handle.remove()
        pipe.maybe_free_model_hooks()  # the pipeline's own last call: offloaded models go back
    raise AssertionError(f"{type(pipe).__name__} never called {type(module).__name__}")
