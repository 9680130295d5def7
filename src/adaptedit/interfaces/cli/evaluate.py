"""`adaptedit evaluate`: a thin layer over evaluation/run.py."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from adaptedit.editing.options import EditOptions, LoadOptions, Preserve
from adaptedit.errors import AdaptEditError, quoted
from adaptedit.interfaces.cli.loading import loads_editor
from adaptedit.interfaces.cli.options import AdapterScale, Guidance, NegativePrompt, Steps
from adaptedit.interfaces.cli.terminal import quiet, say, stages
from adaptedit.interfaces.loading import load_pipeline

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

Bench = Annotated[
    str,
    typer.Argument(
        metavar="BENCH",
        help="synthetic, rendered, folder, magicbrush-{dev,test}-{inde,iter}, emu-edit-{test,validation}, "
        "both also -filtered, pie-bench, gedit-{en,cn} or imgedit.",
    ),
]
Out = Annotated[Path, typer.Option(help="Output folder, with one folder per editor; run again to resume.")]
Editors = Annotated[
    list[str] | None,
    typer.Option(
        "--editor",
        metavar="NAME",
        help="May be repeated. predicted, given (the region of the benchmark), each also -latent and -soft; "
        "frozen (the plain editor's own picture), frozen-stitched (through our transfer of detail), cropped "
        "(around the benchmark's region, no adapter); the controls nothing, whole-frame, centre-box, "
        "blanked; a folder of finished pictures; or module:function.",
        show_default="predicted",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(help="Path of the benchmark's files on this machine.", show_default="the hub"),
]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="METRIC=MODEL",
        help="Hub id or folder that a metric loads, such as clip=openai/clip-vit-large-patch14.",
    ),
]


@loads_editor
def evaluate(
    bench: Bench,
    out: Out,
    editors: Editors = None,
    data: Data = None,
    split: Annotated[str | None, typer.Option(help="synthetic: the held-out split.")] = None,
    password: Annotated[str | None, typer.Option(help="Password of MagicBrush's test zip.")] = None,
    descriptions: Annotated[
        Path | None, typer.Option(help="MagicBrush's local_descriptions.json, for CLIP-T on dev.")
    ] = None,
    polarity: Annotated[
        str | None, typer.Option(help="folder: for masks that give none: white, black, alpha.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Use only the first samples.", show_default="all")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the noise and of the drawn pairs.")] = 0,
    steps: Steps = None,
    guidance: Guidance = None,
    negative_prompt: NegativePrompt = None,
    adapter_scale: AdapterScale = None,
    preserve: Annotated[
        Preserve, typer.Option(help="For editors whose name does not say it: exact, latent or soft.")
    ] = "exact",
    metrics: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="NAME",
            help="May be repeated: pixels, local, clip, pie-clip, dino, fidelity, lpips, structure, shift, "
            "region, fid.",
            show_default="all",
        ),
    ] = None,
    models: Models = None,
    threshold_from: Annotated[
        Path | None,
        typer.Option(
            metavar="RUN",
            help="A finished run on other data (OUT/predicted of the dev split): the region threshold that "
            "is best there gives the @dev columns.",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="A vision-language model to score the results, at $OPENAI_BASE_URL with $OPENAI_API_KEY."
        ),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The editor that the report compares with.", show_default="nothing")
    ] = None,
    *,
    load: LoadOptions,
) -> None:
    """Edit and score a benchmark, and write a report. Under torchrun or accelerate each process does a share.

    torchrun --nproc-per-node 2 --no-python adaptedit evaluate ...   (a process uses one core)
    """
    rank, ranks = _share()
    names = editors or ["predicted"]
    _check_names(names, out, baseline)
    with stages() as stage:
        stage(f"opening {bench}")
        quiet()
        import torch

        from adaptedit.editing.weights import BITS, check_bits, note_bits, weights_of
        from adaptedit.evaluation.benchmarks import benchmark
        from adaptedit.evaluation.editors import EDITORS, editor
        from adaptedit.evaluation.judge import Judge
        from adaptedit.evaluation.metrics import ALL, scoring
        from adaptedit.evaluation.report import write_report
        from adaptedit.evaluation.run import Run, Shard, check, common_failure, finished
        from adaptedit.evaluation.run import evaluate as run_editor
        from adaptedit.evaluation.threshold import chosen_on

        _check_options(names, load, preserve, adapter_scale)
        torch.set_num_threads(1)  # sums in one order, however many cores and processes there are
        chosen: dict[str, Any] = {
            "path": data,
            "split": split,
            "password": password,
            "descriptions": descriptions,
            "polarity": polarity,
        }
        if bench == "synthetic":
            chosen |= {"count": limit, "seed": seed}
        samples = benchmark(bench, **{key: value for key, value in chosen.items() if value is not None})

        stage("loading metrics")
        device = f"cuda:{os.environ.get('LOCAL_RANK', 0)}" if torch.cuda.is_available() else "cpu"
        metric_options = _models(models or [])
        if threshold_from is not None:
            metric_options["region"] = {"threshold": chosen_on(threshold_from, samples.name)}
        scored_with = scoring(metrics or ALL, metric_options, device)
        if judge is not None:
            scored_with.metrics.append(Judge(judge))
            scored_with.options["judge"] = {"model": judge}

        @cache
        def pipe() -> AdaptEditPipeline:
            stage(f"loading {load.backbone}", shows_itself=load.backbone != "tiny")
            return load_pipeline(load, int(os.environ.get("LOCAL_RANK", 0)))

        options = EditOptions(
            steps=steps,
            guidance=guidance,
            negative_prompt=negative_prompt,
            adapter_scale=adapter_scale,
            preserve=preserve,
        )
        stage("checking the weights")
        loaded = weights_of(load) if any(name in EDITORS for name in names) else {}
        settings = {name: _settings(name, loaded, options) for name in names}
        runs = [
            Run(out / _folder(name), samples, name, seed, settings[name], scored_with, limit)
            for name in names
        ]
        for run in runs:
            check(run)
            if load.quantize and run.editor_name in EDITORS:
                check_bits(run.out, load.quantize)
        ready = [editor(name, pipe, options) for name in names]
        for run in runs:
            if run.editor_name in EDITORS:
                placement = pipe().placement
                quantize = placement.quantize if placement else None
                note_bits(run.out, quantize)
                run.settings.update({BITS: quantize} if quantize else {})
        for run, one in zip(runs, ready, strict=True):
            on_sample = stage(run.editor_name, len(run.sessions))
            run_editor(run, one, shard=Shard(rank, ranks), on_sample=on_sample)
        if all(map(finished, runs)):
            stage("writing the report")
            others = {path.parent for path in out.glob("*/run.json")} - {run.out for run in runs}
            typer.echo(write_report([*(run.out for run in runs), *sorted(others)], out, baseline=baseline))
        else:
            typer.echo(f"share {rank + 1} of {ranks} is done; the last process writes the report")
            return
    failures = {run.editor_name: failure for run in runs if (failure := common_failure(run))}
    for name, failure in failures.items():
        say(f"{name}: every sample failed: {' '.join(failure.split())}")
    if failures:
        raise typer.Exit(1)


def _settings(name: str, loaded: dict[str, Any], options: EditOptions) -> dict[str, Any]:
    """Of the run of an editor: what decides on its results. loaded: see `weights_of`."""
    from adaptedit.evaluation.editors import EDITORS, PRESERVING, WITHOUT_ADAPTER

    if name not in EDITORS:
        return {}
    given = {
        "guidance": options.guidance,
        "negative_prompt": options.negative_prompt,
        "adapter_scale": None if name in WITHOUT_ADAPTER else options.adapter_scale,
        "preserve": options.preserve if name in PRESERVING and options.preserve != "exact" else None,
    }
    used = {key: value for key, value in given.items() if value is not None}
    return loaded | {"num_inference_steps": options.steps} | used


def _check_options(
    editors: list[str], load: LoadOptions, preserve: Preserve, adapter_scale: float | None
) -> None:
    """Before minutes of loading: checks that the editors can find regions, and that no option is idle."""
    from adaptedit.evaluation.editors import EDITORS, FINDING, PRESERVING, WITHOUT_ADAPTER

    others = ", ".join(name for name in EDITORS if name not in FINDING)
    if not load.has_adapter and (finding := [name for name in editors if name in FINDING]):
        raise AdaptEditError(
            f"--editor {finding[0]} finds the place by an adapter, and {load.backbone} has none; give "
            f"--adapter, or an --editor that needs none: {others}"
        )
    if preserve != "exact" and not any(name in PRESERVING for name in editors):
        raise AdaptEditError(
            f"--preserve {preserve} changes nothing in {', '.join(editors)}; leave it out, or give one of "
            f"{', '.join(PRESERVING)}"
        )
    adapted = any(name in EDITORS and name not in WITHOUT_ADAPTER for name in editors)
    if adapter_scale is not None and not (load.has_adapter and adapted):
        raise AdaptEditError("--adapter-scale changes nothing where no adapter takes part; leave it out")


def _share() -> tuple[int, int]:
    """The number of this process and how many there are, as torchrun and accelerate set them."""
    rank, ranks = os.environ.get("RANK", "0"), os.environ.get("WORLD_SIZE", "1")
    if not (rank.isdecimal() and ranks.isdecimal() and int(rank) < int(ranks)):
        raise AdaptEditError(
            f"RANK is {quoted(rank)} and WORLD_SIZE {quoted(ranks)}; give numbers, RANK from 0 to "
            "WORLD_SIZE - 1, or leave out both"
        )
    return int(rank), int(ranks)


def _check_names(editors: list[str], out: Path, baseline: str | None) -> None:
    """Checks that each editor has its own folder, and that the baseline is one of them or there already."""
    folders: dict[str, str] = {}
    for name in editors:
        folder = _folder(name)
        if not folder:
            raise AdaptEditError(f"--editor {quoted(name)} is not a name; give one such as predicted")
        if folder in folders:
            raise AdaptEditError(
                f"--editor {quoted(name)} and --editor {quoted(folders[folder])} would share the folder "
                f"{quoted(folder)}; give each once, or evaluate one of them with another --out"
            )
        folders[folder] = name
    if baseline is not None and baseline not in editors and not (out / _folder(baseline)).is_dir():
        raise AdaptEditError(f"--baseline {quoted(baseline)} is none of the editors: {', '.join(editors)}")


def _folder(editor: str) -> str:
    return re.sub(r"[^\w.-]+", "-", editor).strip("-.")


def _models(chosen: list[str]) -> dict[str, dict[str, Any]]:
    """The METRIC=MODEL entries, as keyword arguments by metric."""
    argument = {"clip": "model", "pie-clip": "model", "dino": "model", "structure": "model", "fid": "weights"}
    options: dict[str, dict[str, Any]] = {}
    for entry in chosen:
        name, _, model = entry.partition("=")
        if name not in argument or not model:
            raise AdaptEditError(f"--model {entry}: give METRIC=MODEL, with one of {', '.join(argument)}")
        options[name] = {argument[name]: model}
    return options
