"""A cold edit with `tiny` imports none of the large packages that it does not need."""

import subprocess
import sys
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[1] / "examples"
_NOT_NEEDED = [
    "bitsandbytes", "diffusers", "gradio", "peft", "scipy", "sentence_transformers", "sklearn",
    "sympy", "torch._dynamo", "torchao", "transformers",
]  # fmt: skip
_EDIT = f"""
import sys
from adaptedit.interfaces.cli.main import main
try:
    main()
finally:
    print("imported:", *sorted(set({_NOT_NEEDED}) & sys.modules.keys()))
"""


def test_a_cold_edit_imports_no_large_package(tmp_path: Path) -> None:
    picture, out = tmp_path / "desk.png", tmp_path / "out.png"
    Image.open(EXAMPLES / "desk.png").resize((160, 160)).save(picture)
    arguments = ["edit", str(picture), "remove the apple", "-o", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", _EDIT, *arguments], capture_output=True, text=True, check=False
    )
    assert out.exists(), done.stderr
    assert done.stdout.splitlines()[-1].strip() == "imported:"
