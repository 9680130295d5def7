"""The options of `LoadOptions` on the command line, in one place for all commands that load an editor."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from adaptedit.editing.options import Dtype, LoadOptions, Offload, Quantize

EDITOR = "The editor"
Option = inspect.Parameter


def _option(name: str, default: Any, kind: Any, *names: str, **info: Any) -> Option:
    annotation = Annotated[kind, typer.Option(*names, rich_help_panel=EDITOR, **info)]
    return Option(name, Option.KEYWORD_ONLY, default=default, annotation=annotation)


OPTIONS = [
    _option("backbone", "tiny", str, help="tiny, a folder, or a hub id of a diffusers pipeline."),
    _option(
        "adapter", None, str | None, help="Its adapter: a folder or a hub id.", show_default="tiny's own"
    ),
    _option("revision", None, str | None, help="Branch, tag or commit of the backbone on the hub."),
    _option(
        "device",
        None,
        str | None,
        help="cuda, cuda:1, mps or cpu.",
        show_default="a GPU if there is one, but for tiny",
    ),
    _option(
        "dtype",
        None,
        Dtype | None,
        help="Of the weights. With --device too, they are taken whole, without looking at what is free.",
        show_default="bfloat16, but for tiny",
    ),
    _option(
        "quantize",
        None,
        Quantize | None,
        help="Keep the frozen weights in fewer bits.",
        show_default="what fits the GPU",
    ),
    _option(
        "offload",
        None,
        Offload | None,
        help="Keep in main memory what the GPU does not need just now.",
        show_default="what fits the GPU",
    ),
    _option(
        "transformer",
        None,
        str | None,
        help="A .safetensors or .gguf file with another DiT for the backbone.",
    ),
    _option(
        "loras",
        None,
        list[str] | None,
        "--lora",
        metavar="FILE[=WEIGHT]",
        help="A LoRA for the backbone: a file, a folder or a hub id. Repeat it for more.",
    ),
]


def loads_editor(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options to a command, which gets them together as its parameter `load`."""
    own = inspect.signature(command, eval_str=True)

    @functools.wraps(command)
    def with_options(**values: Any) -> None:
        given = {option.name: values.pop(option.name, option.default) for option in OPTIONS}
        command(**values, load=LoadOptions(**given | {"loras": tuple(given["loras"] or ())}))

    kept = [one.replace(kind=Option.KEYWORD_ONLY) for one in own.parameters.values() if one.name != "load"]
    signature = own.replace(parameters=[*kept, *OPTIONS])
    with_options.__signature__ = signature  # type: ignore[attr-defined]
    with_options.__annotations__ = {one.name: one.annotation for one in signature.parameters.values()}
    del with_options.__wrapped__
    return with_options
