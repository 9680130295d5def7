"""For schemathesis: half of the uploads are real pictures, so that what is behind them is reached too."""

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image


def _png(size: tuple[int, int], mode: str) -> bytes:
    picture = Image.radial_gradient("L").resize(size).convert(mode)
    if mode == "RGBA":
        picture.putalpha(Image.linear_gradient("L").resize(size))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


pictures = st.builds(
    _png, st.sampled_from([(48, 32), (48, 32), (1, 1), (64, 5)]), st.sampled_from(["RGB", "RGBA"])
)
schemathesis.openapi.format("binary", st.one_of(pictures, st.binary()))
