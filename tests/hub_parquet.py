"""Parquet files as `datasets` writes them for the hub, with Image features and its description of them."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(picture: Image.Image) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def write(path: Path, rows: list[dict[str, Any]], types: dict[str, pa.DataType]) -> None:
    """Row groups of two, so that reading crosses their bounds."""
    columns = {}
    for name, kind in types.items():
        values = [row[name] for row in rows]
        if kind == IMAGE:
            values = [v and {"bytes": png(v), "path": f"{name}-{n}.png"} for n, v in enumerate(values)]
        columns[name] = pa.array(values, kind)
    features = {
        name: {"_type": "Image"} if kind == IMAGE else {"dtype": str(kind), "_type": "Value"}
        for name, kind in types.items()
    }
    description = {"huggingface": json.dumps({"info": {"features": features}})}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns).replace_schema_metadata(description), path, row_group_size=2)
