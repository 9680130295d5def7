"""Models of the renderer: read, turned right side out, scaled to metres, catalogued."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("mitsuba")
pytest.importorskip("scipy")

import rendering  # noqa: E402
from adaptedit.data.render import fetch, models  # noqa: E402
from adaptedit.data.render.obj import box_mapped, read_obj, read_ply, without_twins, write_ply  # noqa: E402
from adaptedit.errors import AdaptEditError  # noqa: E402
from rendering import CUBE, obj  # noqa: E402


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendering.save_assets(tmp_path_factory.mktemp("render"))


def test_polygons_negative_indices_and_missing_files(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nusemtl gone\nf -4//-1 -3/9 3 4\nf 1 2 77\nf 1 x 2\n"
    (part,) = read_obj(obj(tmp_path, text, mtl=None))
    assert part.material.colour == (0.7, 0.7, 0.7) and part.material.texture is None
    corners = part.points[part.faces].tolist()
    assert corners == [[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]]
    assert part.normals is None


def test_a_model_without_triangles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdaptEditError, match="no triangles"):
        read_obj(obj(tmp_path, "v 0 0 0\nv 1 0 0\nf 1 2\n"))


def test_normals_decide_which_way_a_triangle_faces(tmp_path: Path) -> None:
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 -1\nf 1//1 2//1 3//1\n"
    (part,) = read_obj(obj(tmp_path, text))
    first, second, third = part.points[part.faces[0]]
    assert np.cross(second - first, third - first)[2] < 0


def test_textures_have_v_downwards_and_are_found(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "t.png")
    mtl = "newmtl a\nmap_Kd t.png\nd 0.5\nnewmtl b\nmap_Kd gone.png\n"
    text = "v 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0.25 0.75\nusemtl a\nf 1/1 2/1 3/1\nusemtl b\nf 1/1 2/1 3/1\n"
    one, other = read_obj(obj(tmp_path, text, mtl))
    assert one.uvs[0].tolist() == [0.25, 0.25]
    assert one.material.texture == tmp_path / "t.png" and one.material.opacity == 0.5
    assert other.material.texture is None
    assert without_twins([one, other]) == [one]  # the second lies exactly on the first


def test_ply_keeps_a_part_and_box_mapping_follows_the_faces(tmp_path: Path) -> None:
    (part,) = read_obj(obj(tmp_path, CUBE))
    write_ply(tmp_path / "0.ply", part)
    again = read_ply(tmp_path / "0.ply")
    assert (again.points == part.points).all() and (again.faces == part.faces).all()
    boxed = box_mapped(part)
    span = np.ptp(boxed.uvs.reshape(-1, 3, 2), axis=1)
    assert (span == 2).all()  # every triangle is seen face on: none is smeared


def test_a_baked_model_stands_on_the_floor_in_metres(assets: Path) -> None:
    key = next(m.key for m in models.load(assets) if m.place == "hand")
    points = read_ply(assets / "models" / key / "0.ply").points
    assert points.min(0) == pytest.approx([-0.1, 0, -0.07]) and points.max(0) == pytest.approx(
        [0.1, 0.2, 0.07]
    )


def test_the_catalogue_is_read_by_number(tmp_path: Path) -> None:
    file = tmp_path / "c.properties"
    file.write_bytes(b"# c\nid=Library\nid#1=L#chair\nname#1 = Ch\\u00e4ir\nid#2=L#b\ncreator#2=A = B\n")
    found = fetch.catalogue(file)
    assert found == {"chair": {"id": "L#chair", "name": "Chäir"}, "b": {"id": "L#b", "creator": "A = B"}}


def test_every_model_has_one_noun_and_a_known_place_and_library() -> None:
    lines = [line for line in (Path(models.__file__).parent / "models.txt").read_text().splitlines()]
    keys = [key for line in lines if not line.startswith("#") for key in line.partition(" = ")[2].split()]
    assert len(keys) == len(set(keys)) == len(models.chosen())
    for key, (_, place, _) in models.chosen().items():
        assert place in models.PLACES and key.partition("/")[0] in fetch.LICENCES
    nouns = {
        held_out: {n for n, _, h in models.chosen().values() if h == held_out} for held_out in (True, False)
    }
    assert len(nouns[False]) >= 150 and len(nouns[True]) >= 20 and not nouns[True] & nouns[False]


def test_fetch_names_the_missing_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AdaptEditError, match="apt-get is needed"):
        fetch.run(["apt-get", "download", "x"], tmp_path)
