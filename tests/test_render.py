"""Rendered pairs: what a pair promises, on tiny hand-made models, so that nothing is downloaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mitsuba")
pytest.importorskip("scipy")

import rendering  # noqa: E402
from adaptedit.data.readers import magicbrush  # noqa: E402
from adaptedit.data.render import edits, masks, models, shards, surfaces  # noqa: E402
from adaptedit.data.render.board import board  # noqa: E402
from adaptedit.data.render.denoise import denoise  # noqa: E402
from adaptedit.data.render.engine import Engine  # noqa: E402
from adaptedit.data.render.labels import NOUNS, labels  # noqa: E402
from adaptedit.data.render.layout import Stock, apart, draw  # noqa: E402
from adaptedit.data.render.refer import Seen, colour_of, names  # noqa: E402
from adaptedit.data.render.scene import Camera, Light, Scene, Thing  # noqa: E402
from adaptedit.data.render.sessions import Sessions, Turn  # noqa: E402
from adaptedit.data.sprites import phrases  # noqa: E402
from adaptedit.errors import AdaptEditError  # noqa: E402
from adaptedit.interfaces.cli.share import share  # noqa: E402

SIZE, SPP = 32, 2


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendering.save_assets(tmp_path_factory.mktemp("render"))


@pytest.fixture(scope="module")
def sessions(assets: Path) -> Sessions:
    return Sessions("train", SIZE, SPP, assets)


@pytest.fixture(scope="module")
def turns(sessions: Sessions) -> list[Turn]:
    return [turn for index in range(8) for turn in sessions.session(3, index)]


def cube_at(assets: Path, key: int, x: float, z: float, **more: float) -> Thing:
    model = next(m for m in models.load(assets) if m.place == "room")
    return Thing(key, model.noun, model.key, x, more.get("y", 0.0), z, more.get("turn", 0.0), (0.6, 0.6, 0.6))


def room(*things: Thing) -> Scene:
    camera = Camera((0, 1.2, 4), (0, 0.3, 0), 35)
    return Scene("room", things, camera, Light("lobby", 0, key=1.5, azimuth=40), "concrete", "white paint")


# -- scenes


def test_turned_footprints_are_told_apart(assets: Path) -> None:
    one = cube_at(assets, 1, 0, 0)
    assert not apart(one, cube_at(assets, 2, 0.59, 0), 0)
    assert apart(one, cube_at(assets, 2, 0.61, 0), 0) and not apart(one, cube_at(assets, 2, 0.61, 0), 0.05)
    assert not apart(one, cube_at(assets, 2, 0.7, 0, turn=45), 0)  # its corner reaches 0.42 further
    assert apart(one, cube_at(assets, 2, 0, 0, y=0.6), 0)  # on top of it


def test_an_object_stands_where_the_camera_says(assets: Path) -> None:
    thing = cube_at(assets, 1, 0.5, -0.3, turn=30)
    scene = room(thing)
    cover = Engine(assets, SIZE, 1).render(scene, 0).cover[1]
    rows, columns = np.nonzero(cover > 0)
    seen = scene.camera.project(thing.corners())[:, :2] * SIZE
    assert columns.min() == pytest.approx(seen[:, 0].min(), abs=1.2)
    assert columns.max() + 1 == pytest.approx(seen[:, 0].max(), abs=1.2)
    assert rows.min() == pytest.approx(seen[:, 1].min(), abs=1.2)
    assert rows.max() + 1 == pytest.approx(seen[:, 1].max(), abs=1.2)


def test_twins_get_words_that_tell_them_apart(assets: Path) -> None:
    left, right = cube_at(assets, 1, -1, 0), cube_at(assets, 2, 1, 0)
    both = [Seen(left, (0.2, 0.6), 4, 0.05, ""), Seen(right, (0.8, 0.6), 4, 0.05, "")]
    for seed in range(20):
        words = names(np.random.default_rng(seed), both[0], both)
        assert words is not None and "left" in words
    same = [Seen(left, (0.5, 0.6), 4, 0.05, ""), Seen(right, (0.5, 0.6), 4, 0.05, "")]
    assert names(np.random.default_rng(0), same[0], same) is None


def test_an_office_chair_is_a_chair_too(assets: Path) -> None:
    chair = replace(cube_at(assets, 1, -1, 0), noun="chair")
    office = replace(cube_at(assets, 2, 1, 0), noun="office chair")
    both = [Seen(chair, (0.2, 0.6), 4, 0.05, ""), Seen(office, (0.8, 0.6), 4, 0.05, "")]
    for seed in range(20):
        assert names(np.random.default_rng(seed), both[0], both) != "the chair"
    assert "the office chair" in {names(np.random.default_rng(seed), both[1], both) for seed in range(20)}


@pytest.mark.parametrize("maker", [edits.add, edits.swap])
def test_what_comes_is_not_there_yet(assets: Path, maker: edits.Maker) -> None:
    """Else "put a cup where the hen is" would leave a scene with two cups."""
    rng = np.random.default_rng(0)
    stock = Stock([model for model in models.load(assets) if not model.held_out])
    made = 0
    for _ in range(150):
        scene = draw(rng, stock)
        seen = [Seen(thing, (0.1 * n, 0.5), 4, 0.05, "") for n, thing in enumerate(scene.things)]
        edit = maker(rng, stock, scene, seen, 50)
        if edit is not None:
            made += 1
            assert edit.noun not in {thing.noun for thing in scene.things}
    assert made > 10


@pytest.mark.parametrize(("name", "shown"), surfaces.COLOURS.items())
def test_paints_are_named_as_they_are_asked_for(name: str, shown: tuple[float, float, float]) -> None:
    assert colour_of(np.tile(np.array(shown, np.float32) ** 2.2, (50, 1))) == name


def test_every_kind_has_phrasings_enough_and_keeps_some_back() -> None:
    for kind, known in phrases.TRAIN.items():
        assert len(set(known)) >= 8 and phrases.HELD_OUT[kind]
        assert not set(known) & set(phrases.HELD_OUT[kind])
    assert phrases.fill("there should be no {x}", x="the cup") == "there should be no cup"


# -- signs


def a_sign(x: float, z: float = 0, text: str = "OPEN", height: float = 0.6) -> Thing:
    return Thing(7, "sign", "", x, 0, z, 0, (1.6 * height, height, 0.03), paint="white", text=text)


def test_a_sign_shows_its_face_the_right_way_round(assets: Path) -> None:
    """Its left half is inked, as is the drawing's: neither mirrored nor upside down."""
    scene = room(a_sign(0, text="L\n ", height=1.2))
    drawn = board("L\n ", "white", 1.6)[::-1].mean(2)
    frame = Engine(assets, 128, 16).render(scene, 0)
    rows, columns = np.nonzero(frame.cover[7] > 0.99)
    face = frame.albedo[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean(2)
    face = np.asarray(Image.fromarray(face.astype(np.float32)).resize((32, 20), Image.Resampling.BOX))
    drawing = np.asarray(Image.fromarray(drawn.astype(np.float32)).resize((32, 20), Image.Resampling.BOX))

    def alike(shown: np.ndarray) -> float:
        return float(np.corrcoef(shown.ravel(), drawing.ravel())[0, 1])

    assert alike(face) > 0.8
    assert alike(face) > max(alike(face[::-1]), alike(face[:, ::-1]), alike(face[::-1, ::-1])) + 0.05


@pytest.mark.parametrize(
    ("sign", "share", "possible"),
    [
        (a_sign(0), 0.12, True),
        (a_sign(0), 0.05, False),  # half of it is hidden
        (a_sign(0, height=0.12), 0.03, False),  # its letters are too small
    ],
)
def test_text_is_edited_where_it_can_be_read(assets: Path, sign: Thing, share: float, possible: bool) -> None:
    scene = room(sign)
    stock = Stock(models.load(assets))
    edit = edits.text(np.random.default_rng(0), stock, scene, [Seen(sign, (0.5, 0.5), 4, share, "")], 9)
    assert (edit is not None) == possible
    if edit is not None:
        assert edit.keys == (7,) and edit.scene.thing(7).text.replace("\n", " ") == edit.slots["w"] != "OPEN"


# -- pairs


def test_the_same_seed_gives_the_same_pixels(sessions: Sessions, turns: list[Turn], assets: Path) -> None:
    again = Sessions("train", SIZE, SPP, assets).session(3, 0)
    assert [turn.instruction for turn in again] == [t.instruction for t in turns if t.img_id.endswith("00")]
    for one, other in zip(again, turns, strict=False):
        assert (one.source == other.source).all() and (one.target == other.target).all()
    assert sessions.session(4, 0)[0].source.tobytes() != turns[0].source.tobytes()


def test_outside_the_mask_the_target_is_the_source(turns: list[Turn]) -> None:
    for turn in turns:
        outside = turn.mask == 0
        assert (turn.source[outside] == turn.target[outside]).all()
        assert (turn.source[~outside] != turn.target[~outside]).any()
    assert any((turn.mask == 0).mean() > 0.5 for turn in turns)


def test_each_turn_goes_on_from_the_last(turns: list[Turn]) -> None:
    chained = [(a, b) for a, b in zip(turns, turns[1:], strict=False) if a.img_id == b.img_id]
    assert chained
    for one, other in chained:
        assert other.turn_index == one.turn_index + 1
        assert (other.source == one.target).all() and other.caption_before == one.caption_after


def test_remove_and_add_are_each_others_inverse(assets: Path) -> None:
    engine = Engine(assets, SIZE, 4)
    scene = room(cube_at(assets, 1, -0.6, 0), cube_at(assets, 2, 0.6, 0))
    full, empty = (engine.render(s, 5) for s in (scene, scene.without(2)))
    factor = masks.exposure(full.light)
    shown, bare = (masks.develop(frame.light, factor) for frame in (full, empty))
    removed = masks.changed(shown, bare, full.cover[2])
    assert (removed == masks.changed(bare, shown, full.cover[2])).all()
    source = np.asarray(np.round(shown * 255), np.uint8)
    gone = masks.blend(source, bare, removed)
    back = masks.blend(gone, shown, removed)
    certain = (removed == 0) | (removed == 255)
    assert (back[certain] == source[certain]).all()
    assert (full.cover[2][removed == 0] == 0).all() and full.cover[1][removed == 255].mean() < 0.2


def test_a_shadow_belongs_to_the_mask(assets: Path) -> None:
    engine = Engine(assets, 64, 16)
    scene = replace(room(cube_at(assets, 1, 0, 0)), light=Light("lobby", 0, 0.3, 4.0, 70, 35))
    full, empty = (engine.render(s, 5) for s in (scene, scene.without(1)))
    factor = masks.exposure(empty.light)
    mask = masks.changed(*(masks.develop(f.light, factor) for f in (empty, full)), full.cover[1])
    shadow = (mask > 127) & (full.cover[1] == 0)
    columns = np.nonzero(shadow)[1]
    assert len(columns) > 60 and columns.mean() < 28  # the lamp stands on the right


def test_labels_say_which_noun_each_cell_shows(assets: Path) -> None:
    thing = cube_at(assets, 1, 0.6, 0)
    scene = room(thing, a_sign(-0.6))
    shown = labels(scene, Engine(assets, SIZE, 1).render(scene, 0))
    assert shown.shape == (16, 16) and shown.dtype == np.uint8
    assert set(np.unique(shown)) == {0, NOUNS.index(thing.noun) + 1, NOUNS.index("sign") + 1}
    column = scene.camera.project(thing.corners())[:, 0].mean() * 16
    assert np.nonzero(shown == NOUNS.index(thing.noun) + 1)[1].mean() + 0.5 == pytest.approx(column, abs=0.7)
    assert set(NOUNS) == {noun for noun, _, _ in models.chosen().values()} | {"sign"} and len(NOUNS) < 256


def test_specks_go_and_edges_stay() -> None:
    albedo, normal = np.full((9, 9, 3), 0.5, np.float32), np.zeros((9, 9, 3), np.float32)
    normal[..., 2] = 1
    light = np.full((9, 9, 3), 0.4, np.float32)
    light[:, 6:] = 0.04
    speckled = light.copy()
    speckled[4, 2], speckled[6, 2] = 0, 40
    clean = denoise(speckled, albedo, normal, np.ones((9, 9), np.float32))
    assert np.abs(clean - light)[:, [0, 1, 2, 3, 8]].max() < 0.05


# -- files


def job(**more: int) -> shards.Job:
    return shards.Job("train", 3, SIZE, SPP, **({"sessions": 2} | more))


def test_magicbrush_reads_them_unchanged(assets: Path, tmp_path: Path) -> None:
    held_out = Sessions("nouns", SIZE, SPP, assets)
    shards.write(held_out, shards.Job("nouns", 3, SIZE, SPP, 2), tmp_path, 2)
    rendered = [turn for index in range(2) for turn in held_out.session(3, index)]
    reader = magicbrush.load("dev", path=tmp_path)
    assert len(reader.ids) == len(rendered)
    kept_back = {noun for noun, _, held in models.chosen().values() if held}
    for turn in rendered:
        sample = reader.load(f"{turn.img_id}-{turn.turn_index}")
        assert sample.instruction == turn.instruction and sample.region is not None and sample.target
        assert (np.asarray(sample.source) == turn.source).all()
        assert (np.asarray(sample.target) == turn.target).all()
        assert ((np.asarray(sample.region.mask) > 0) == (turn.mask > 0)).all()
        if turn.kind in ("add", "remove", "replace", "recolour"):
            assert turn.noun in kept_back | {"sign"}


def test_a_killed_render_goes_on_to_the_same_files(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = shards.write(sessions, job(), tmp_path / "whole", 4)
    drawn: list[int] = []
    session = Sessions.session

    def killed(self: Sessions, seed: int, index: int) -> list[Turn]:
        drawn.append(index)
        if index == 3:
            raise KeyboardInterrupt
        return session(self, seed, index)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Sessions, "session", killed)
        shards.write(sessions, job(), tmp_path / "killed", 4)
    assert [file.name for file in (tmp_path / "killed" / "data").iterdir()] == [whole[0].name]
    resumed = shards.write(sessions, job(), tmp_path / "killed", 4)
    assert [file.read_bytes() for file in resumed] == [file.read_bytes() for file in whole]
    drawn.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Sessions, "session", killed)
        shards.write(sessions, job(), tmp_path / "killed", 4)
    assert drawn == []  # nothing is rendered twice


def test_two_shards_are_one_run(sessions: Sessions, tmp_path: Path) -> None:
    one = shards.write(sessions, job(sessions=1), tmp_path / "one", 3)
    for which in (1, 0):
        shards.write(sessions, job(sessions=1), tmp_path / "two", 3, (which, 2))
    both = sorted((tmp_path / "two" / "data").iterdir())
    assert [(f.name, f.read_bytes()) for f in both] == [(f.name, f.read_bytes()) for f in one]


def test_a_folder_holds_one_render(sessions: Sessions, tmp_path: Path) -> None:
    (tmp_path / "render.json").write_text(json.dumps({"split": "train", "seed": 4, "size": SIZE, "spp": SPP}))
    with pytest.raises(AdaptEditError, match="another seed, sessions, version"):
        shards.write(sessions, job(), tmp_path, 1)


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "-1/2", "1/2/3", "", "9" * 99])
def test_a_shard_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(AdaptEditError, match="--shard"):
        share(text)


def test_unknown_splits_and_missing_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="unknown split"):
        Sessions("test", SIZE, SPP, tmp_path)
    with pytest.raises(AdaptEditError, match="data fetch --render"):
        Sessions("train", SIZE, SPP, tmp_path)
