"""Reports of small runs: every number where it belongs, nothing hidden, and text that stays text."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from adaptedit.data.sample import EditSample
from adaptedit.errors import AdaptEditError
from adaptedit.evaluation.editors import Edit, do_nothing
from adaptedit.evaluation.judge import Judge
from adaptedit.evaluation.metrics import METRICS, SET_METRICS, Scoring
from adaptedit.evaluation.metrics.local import Local
from adaptedit.evaluation.metrics.pixels import Pixels
from adaptedit.evaluation.published import MAGICBRUSH_OFFICIAL, MAGICBRUSH_REEVALUATED
from adaptedit.evaluation.report import html, write_report
from adaptedit.evaluation.report.columns import arrow, better, grouped
from adaptedit.evaluation.report.runs import read_runs
from adaptedit.evaluation.report.summary import Summary, decimals, summarise
from adaptedit.evaluation.run import Run, Shard, evaluate
from adaptedit.evaluation.statistics import Estimate
from adaptedit.region import Region
from test_run import SIZE, Brightness, Squares, a_run, lines, noisy

HOSTILE = "</script><script>alert(1)</script> a | b\n# $x$ ~~*c*~~ <b>"


class Coverage:
    """Stands for a column of editors that look for a region."""

    columns = ("IoU",)

    def __call__(self, sample: EditSample, result: Image.Image, found: Region | None) -> dict[str, float]:
        return {} if found is None else {"IoU": int(sample.id[1:]) / 10}


SCORING = Scoring([Pixels(), Local(), Coverage()], [Brightness()], {"DINO": "offline"}, {"clip": {"seed": 1}})


def a_toy_run(out: Path, name: str = "noisy", benchmark: Squares | None = None, **changes: Any) -> Run:
    settings = {"backbone": "tiny", "steps": None}
    return a_run(out, benchmark, editor_name=name, scoring=SCORING, settings=settings, **changes)


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `adaptedit evaluate` leaves it: a folder an editor, "noisy" and "nothing"."""
    out = tmp_path_factory.mktemp("toy")
    evaluate(a_toy_run(out / "noisy"), noisy)
    evaluate(a_toy_run(out / "nothing", "nothing"), do_nothing)
    return out


def summary_of(*folders: Path, baseline: str | None = None) -> Summary:
    return summarise(read_runs(folders), baseline)


def written(out: Path, *folders: Path, **options: Any) -> tuple[str, str, dict[str, Any]]:
    """The Markdown, the page, and the numbers in the page."""
    page = write_report(folders, out / "new" / "report", **options)
    text = page.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    markdown = (page.parent / "report.md").read_text("utf-8").replace("\u00a0", " ")
    return markdown, text, json.loads(data)


def tables(markdown: str, heading: str) -> list[dict[str, dict[str, str]]]:
    """Those between a heading and the next; the cells of each by row and column."""
    section = re.split(r"\n#+ ", markdown.split(f"# {heading}\n", 1)[1])[0]
    found = []
    for text in re.findall(r"(?:^\|.*\n?)+", section, re.MULTILINE):
        head, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines()
        ]
        found.append({row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in rows})
    return found


def numbers(cell: str) -> list[float]:
    return [float(number) for number in re.findall(r"[+-]?[\d.]+", cell)]


def test_means_and_differences_are_those_of_the_lines(toy: Path) -> None:
    summary = summary_of(toy)
    ours, theirs = (lines(toy / name / "scores.jsonl") for name in ("noisy", "nothing"))
    editor = next(one for one in summary.editors if one.run.name == "noisy")
    for column in ("L1", "L2", "L1-inside", "L1-outside", "success"):
        values = [row[column] for row in ours]
        assert editor.means[column].mean == pytest.approx(np.mean(values))
        differences = np.subtract(values, [row[column] for row in theirs])
        assert editor.deltas[column].mean == pytest.approx(differences.mean())
    odd = [row["L1"] for row in ours if row["category"] == "odd"]
    assert editor.categories["odd"]["L1"].mean == pytest.approx(np.mean(odd))


def test_the_page_and_the_markdown_have_the_same_numbers(toy: Path, tmp_path: Path) -> None:
    markdown, _, data = written(tmp_path, toy)
    editors = {one["name"]: one for one in data["editors"]}
    compared = 0
    for group in data["groups"]:
        for kind, shown in zip(("means", "deltas"), tables(markdown, group["title"]), strict=False):
            for column in group["columns"]:
                for name, cell in shown.get(column + arrow(column), {}).items():
                    assert numbers(cell) == editors[name][kind].get(column, [])[:3]
                    compared += 1
    assert compared == 2 * 6 + 6 + 1  # both editors' means, one's differences, and a column that one has
    for category, row in tables(markdown, "L1 ↓")[0].items():
        for name, cell in row.items():
            assert numbers(cell) == editors[name]["byCategory"][category]["L1"][:3]
    assert tables(markdown, "At a glance")[0]["IoU ↑"]["nothing"] == "–"


def test_a_difference_whose_interval_is_rounded_to_0_keeps_its_sign() -> None:
    assert html._numbers(Estimate(0.4, 0.00001, 0.9, 7), 4) == [0.4, 0.0, 0.9, 7, 1]


def test_the_baseline_is_nothing_or_else_the_first_and_must_be_there(toy: Path) -> None:
    assert summary_of(toy).baseline == "nothing"
    assert summary_of(toy / "noisy").baseline == "noisy"
    assert [one.run.name for one in summary_of(toy, baseline="noisy").editors if one.deltas] == ["nothing"]
    with pytest.raises(AdaptEditError, match="no editor 'best' to compare with; choose of noisy, nothing"):
        summary_of(toy, baseline="best")


def test_differences_pair_by_id_not_by_place(toy: Path, tmp_path: Path) -> None:
    evaluate(a_toy_run(tmp_path / "noisy"), noisy)
    scores = tmp_path / "noisy" / "scores.jsonl"
    scores.write_text("".join(line + "\n" for line in reversed(scores.read_text().splitlines())))
    summary = summary_of(toy / "noisy", tmp_path / "noisy")
    assert [one.run.name for one in summary.editors] == [
        f"noisy ({one / 'noisy'})" for one in (toy, tmp_path)
    ]
    zero = summary.editors[1].deltas["L1"]
    assert (zero.mean, zero.low, zero.high, zero.count) == (0, 0, 0, 7)


def test_a_column_has_as_many_decimals_as_its_largest_number_needs() -> None:
    needed = {5000: 0, 101: 1, 100: 2, 34: 2, 1.01: 3, 1: 4, 0.5: 4, 0.02: 4, 0.004: 5, 1e-9: 6, 0: 4}
    assert {largest: decimals(largest) for largest in needed} == needed


# -- columns


def test_every_column_is_in_one_known_group_and_has_a_direction() -> None:
    made = (*METRICS.values(), *SET_METRICS.values(), Judge)
    columns = [column for metric in made for column in metric.columns]
    found = grouped([column for metric in (*METRICS.values(), Judge) for column in metric.columns])
    placed = [column for _, members in found for column in members]
    assert sorted(placed) == sorted(set(columns) - {"FID", "FID-source"})
    assert "Other" not in [group.title for group, _ in found]
    for column in columns:
        lower = re.search(r"^(PIE-)?(L1|L2|MSE|LPIPS|structure|FID)|error|^shift$", column) is not None
        neither = column in ("shift-x", "shift-y", "zoom")
        assert better(column) == (0 if neither else -1 if lower else 1), column
    assert better("of someone else") == 0 and grouped(["of someone else"])[0][0].title == "Other"


def test_a_group_takes_only_its_own_columns() -> None:
    apart = ["L1", "PIE-CLIP-inside", "PIE-LPIPS-inside", "IoU@dev", "IoU-change@dev", "L1-source"]
    assert [members for _, members in grouped([*apart, "CLIP-im"])] == [
        *([one] for one in apart[:-1]),
        ["L1-source", "CLIP-im"],
    ]


def test_missing_columns_set_columns_and_settings_are_shown(toy: Path, tmp_path: Path) -> None:
    markdown, _, _ = written(tmp_path, toy)
    (missing,) = tables(markdown, "Missing columns")
    assert missing["DINO"] == {"editors": "all", "reason": "offline"}
    assert missing["IoU"]["editors"] == "nothing" and "reports no region" in missing["IoU"]["reason"]

    brightness = json.loads((toy / "nothing" / "set.json").read_text())["mean brightness"]
    (of_all,) = tables(markdown, "Of all samples at once")
    assert numbers(of_all["mean brightness"]["nothing"]) == [pytest.approx(brightness, rel=1e-3)]
    (settings,) = tables(markdown, "Settings and seeds")
    assert settings["noisy"] == {"seed": "3", "backbone": "tiny", "clip seed": "1", "steps": "default"}


def test_a_run_without_metrics_has_a_report(tmp_path: Path) -> None:
    evaluate(a_run(tmp_path, scoring=Scoring()), noisy)
    markdown, _, data = written(tmp_path, tmp_path)
    assert data["columns"] == {} and len(data["samples"]) == 7 and "By category" not in markdown


# -- what went wrong


def test_an_unfinished_run_says_so_and_counts_what_is_done(toy: Path, tmp_path: Path) -> None:
    evaluate(a_toy_run(tmp_path / "half", "half"), noisy, shard=Shard(0, 2))  # the even ones
    evaluate(a_toy_run(tmp_path / "none", "none"), noisy, shard=Shard(7, 8))
    evaluate(a_toy_run(tmp_path / "one", "one", limit=1), noisy)  # finished, and begun anew without the limit
    evaluate(a_toy_run(tmp_path / "one", "one"), noisy, shard=Shard(7, 8))
    markdown, _, data = written(tmp_path, toy, tmp_path)
    assert "**Unfinished: half, none, one.**" in markdown
    (editors,) = tables(markdown, "Editors")
    done = [editors[name]["samples"] for name in ("nothing", "half", "none", "one")]
    assert done == ["7", "4 of 7, unfinished", "0 of 7, unfinished", "1 of 7, unfinished"]
    half = data["editors"][2]
    assert half["means"]["L1"][3] == 4 == half["deltas"]["L1"][3]
    assert data["editors"][4]["sets"] == {}  # that of one sample is not that of all
    assert half["byCategory"]["odd"] == {} and half["byCategory"]["even"]["L1"][3] == 4
    (missing,) = tables(markdown, "Missing columns")
    assert missing["mean brightness"] == {"editors": "half, none, one", "reason": "the run is not finished"}
    assert missing[", ".join(half["means"])] == {"editors": "none", "reason": "no sample is done yet"}


def test_failures_and_wrong_sizes_are_counted_with_reasons(tmp_path: Path) -> None:
    def bad(sample: EditSample, seed: int) -> Edit:
        if sample.id in ("s0", "s3"):
            raise AdaptEditError(HOSTILE)
        if sample.id == "s1":
            raise RuntimeError("shapes differ")
        return Edit(sample.source.resize((12, 8)) if sample.id == "s2" else sample.source)

    evaluate(a_toy_run(tmp_path / "bad", "bad"), bad)
    markdown, _, data = written(tmp_path, tmp_path)
    (editors,) = tables(markdown, "Editors")
    assert (editors["bad"]["failures"], editors["bad"]["wrong size"]) == ("3", "1")
    (editor,) = data["editors"]
    assert editor["reasons"] == [[HOSTILE, 2], ["RuntimeError: shapes differ", 1]]
    assert editor["otherSize"] == ["s2"] and sorted(data["failures"][0]) == ["s0", "s1", "s3"]
    assert editor["means"]["L1"][3] == 7
    failures = markdown.split("## Failures")[1]
    assert "RuntimeError: shapes differ" in failures and "<" not in failures.replace("\\<", "")


@pytest.mark.parametrize(
    "line, said",
    [
        ('{"id": "s1", "L1"', "damaged"),
        ('{"id": "s1", "L1": NaN}', "L1 is nan, not a finite number"),
        ('{"id": "../s1"}', "the id '../s1' is not a file name"),
        ('{"id": "s0"}', "the id 's0' comes twice"),
    ],
)
def test_a_damaged_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    evaluate(a_toy_run(tmp_path), noisy)
    path = tmp_path / "scores.jsonl"
    rows = path.read_text().splitlines()
    path.write_text("\n".join([rows[0], line, *rows[2:]]))
    with pytest.raises(AdaptEditError, match=rf"scores\.jsonl, line 2: {re.escape(said)}"):
        read_runs([tmp_path])


def test_a_number_that_is_none_in_the_shards_or_of_the_set_is_named(tmp_path: Path) -> None:
    evaluate(a_toy_run(tmp_path), noisy)
    (tmp_path / "set.json").write_text('{"FID": NaN}')
    with pytest.raises(AdaptEditError, match=r"set\.json: FID is nan, not a finite number"):
        read_runs([tmp_path])
    (tmp_path / "scores.jsonl").unlink()
    key = json.loads((tmp_path / "run.json").read_text())["scored_as"]
    line = json.dumps({"id": "s1", "L1": math.inf, "scored_as": key})
    (tmp_path / "shards" / "scores.0.jsonl").write_text(f"{line}\n")
    with pytest.raises(AdaptEditError, match=r"shards: L1 is inf, not a finite number"):
        read_runs([tmp_path])


def test_what_cannot_be_compared_is_refused(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AdaptEditError, match="holds no run"):
        read_runs([tmp_path])
    other = Squares()
    other.name = "other"
    evaluate(a_toy_run(tmp_path / "other", benchmark=other), noisy)
    with pytest.raises(
        AdaptEditError, match="is a run of squares and .* of other; their numbers do not compare"
    ):
        read_runs([toy, tmp_path / "other"])
    monkeypatch.chdir(toy)
    for again in (toy / "noisy", Path("noisy"), toy / "nothing" / ".." / "noisy"):
        with pytest.raises(AdaptEditError, match="the same run is given twice"):
            read_runs([toy, again])
    (tmp_path / "other" / "run.json").write_text('{"benchmark": "toy"}')
    with pytest.raises(AdaptEditError, match="run.json: 'editor' is missing or not a str"):
        read_runs([tmp_path / "other"])


def test_published_families_stay_apart(tmp_path: Path) -> None:
    magicbrush = Squares(2)
    magicbrush.name = "magicbrush-test-inde"
    evaluate(a_toy_run(tmp_path / "noisy", benchmark=magicbrush), noisy)
    markdown, _, data = written(tmp_path, tmp_path)
    for one in (MAGICBRUSH_OFFICIAL, MAGICBRUSH_REEVALUATED):
        (found,) = tables(markdown, one.title)
        assert {name: [float(cell) for cell in row.values()] for name, row in found.items()} == {
            name: list(values) for name, values in one.rows.items()
        }
        assert one.title in [table["title"] for table in data["published"]]
    assert "UltraEdit" not in markdown.split("## Published")[0]
    assert written(tmp_path, tmp_path, published=[])[2]["published"] == []


# -- the page


def test_the_page_needs_nothing_from_the_network(toy: Path, tmp_path: Path) -> None:
    _, page, data = written(tmp_path, toy)
    assert "default-src 'none'; img-src data:" in page
    assert not re.findall(r"https?://|url\(|@import|<link|<iframe|\bfetch\(|\ssrc=", page)
    assert data["album"] and all(uri.startswith("data:image/webp;base64,") for uri in data["album"])


def test_text_from_files_stays_text(tmp_path: Path) -> None:
    class Hostile(Squares):
        def load(self, sample_id: str) -> EditSample:
            sample = super().load(sample_id)
            return replace(sample, instruction=HOSTILE, category=f"{HOSTILE} {sample.category}")

    evaluate(a_toy_run(tmp_path / "one", HOSTILE, Hostile()), noisy)
    markdown, page, data = written(tmp_path, tmp_path)
    assert page.count("<script") == 2 == page.count("</script")
    assert data["samples"][0]["instruction"] == HOSTILE and data["editors"][0]["name"] == HOSTILE
    assert data["categories"] == [f"{HOSTILE} even", f"{HOSTILE} odd"]
    assert [len(row) for row in tables(markdown, "L1 ↓")[0].values()] == [1, 1]
    assert not re.search(r"(?<!\\)[<>$~*]", markdown) and len(re.findall("^# ", markdown, re.MULTILINE)) == 1


def test_the_worst_and_the_best_are_pictured_first_and_no_more_than_asked(toy: Path, tmp_path: Path) -> None:
    by_l1 = sorted(lines(toy / "noisy" / "scores.jsonl"), key=lambda row: row["L1"])
    _, _, data = written(tmp_path, toy, pictures=2)
    assert list(data["shown"]) == [by_l1[-1]["id"], by_l1[0]["id"]] and len(data["samples"]) == 7
    noisy_has, nothing_has = data["shown"][by_l1[0]["id"]]
    assert set(noisy_has) == {"source", "target", "result", "truth", "region"}
    assert set(nothing_has) == {"source", "target", "result", "truth"}
    assert noisy_has["source"] == nothing_has["source"] and noisy_has["truth"] == noisy_has["region"]
    picture = base64.b64decode(data["album"][noisy_has["region"]].partition(",")[2])
    covered = np.asarray(Image.open(io.BytesIO(picture)))[..., 3] > 0
    assert np.array_equal(covered, Region.from_box((4, 4, 12, 8), SIZE).mask > 0.5)
    assert len(written(tmp_path, toy)[2]["shown"]) == 7


def test_pictures_stop_where_the_page_is_full(
    toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, data = written(tmp_path, toy, pictures=0)
    assert data["shown"] == {} and data["album"] == []
    numbers_alone = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
    monkeypatch.setattr(html, "LARGEST", numbers_alone + 1000)
    _, _, data = written(tmp_path, toy)
    assert 0 < len(data["shown"]) < 7
