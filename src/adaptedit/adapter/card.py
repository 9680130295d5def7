"""The model card of a saved adapter: what it belongs to, how to use it. The hub reads its header."""

from __future__ import annotations

from adaptedit.adapter.config import AdapterConfig

CARD_FILE = "README.md"

_CARD = """---
library_name: adaptedit
base_model: {backbone_name}
base_model_relation: adapter
pipeline_tag: image-to-image
tags:
- image-editing
- adaptedit
---

# An AdaptEdit adapter for {backbone_name}

Local edits from a sentence: the adapter finds the region and keeps the edit in it; the editor itself stays
frozen (the method of arXiv 2604.23763). {parameters:.0f} million parameters, for {backbone}.

```bash
adaptedit edit photo.jpg "remove the mug" --backbone {backbone_name} --adapter THIS_REPOSITORY
```

```python
from adaptedit import AdaptEditPipeline

pipe = AdaptEditPipeline.from_pretrained("{backbone_name}", adapter="THIS_REPOSITORY").to("cuda")
pipe("photo.jpg", "remove the mug").images[0]
```
"""


def model_card(config: AdapterConfig, parameters: int) -> str:
    """parameters: how many weights the adapter has."""
    return _CARD.format(
        backbone=config.backbone, backbone_name=config.backbone_name, parameters=parameters / 1e6
    )
