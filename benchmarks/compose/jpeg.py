"""How many pixels of a JPEG change when nothing in it is edited and it is saved again, in two ways.

python benchmarks/compose/jpeg.py     # writes jpeg.md beside this file; seconds
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from adaptedit import save
from adaptedit.pictures.picture import Picture

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"


def main() -> None:
    lines = ["| source | with its own tables | at quality 95, 4:4:4 |", "|---|---|---|"]
    for name in ("desk.png", "lawn.png"):
        for quality in (75, 85, 95):
            for subsampling in ("4:2:0", "4:4:4"):
                source = io.BytesIO()
                picture = Image.open(EXAMPLES / name).convert("RGB")
                picture.save(source, "JPEG", quality=quality, subsampling=subsampling)
                lines.append(_row(f"{name}, quality {quality}, {subsampling}", source.getvalue()))
    for name in ("party.jpg", "shelf.jpg", "tea.jpg"):
        lines.append(_row(name, (EXAMPLES / name).read_bytes()))
    (HERE / "jpeg.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _row(name: str, data: bytes) -> str:
    with tempfile.TemporaryDirectory() as folder:
        source, again = Path(folder) / "source.jpg", Path(folder) / "again.jpg"
        source.write_bytes(data)
        picture = Picture.open(source)
        before, cells = np.asarray(picture.rgb), []
        unedited = picture.restore(picture.rgb)
        save(unedited, again)
        cells.append((before != np.asarray(Image.open(again).convert("RGB"))).any(axis=2).mean())
        picture.rgb.save(again, quality=95, subsampling=0)
        cells.append((before != np.asarray(Image.open(again).convert("RGB"))).any(axis=2).mean())
    return f"| {name} | {' | '.join(f'{cell:.1%}' for cell in cells)} |"


if __name__ == "__main__":
    main()
