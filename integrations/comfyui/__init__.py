"""AdaptEdit's nodes, found by ComfyUI's custom_nodes loader."""

from .edit_nodes import AdaptEdit, LoadAdaptEdit, PredictRegion
from .model_nodes import ApplyAdaptEdit, LoadAdapter
from .stitch_nodes import CropToRegion, Stitch

__all__ = ["NODE_CLASS_MAPPINGS", "NODE_DISPLAY_NAME_MAPPINGS"]

NODE_CLASS_MAPPINGS = {
    "AdaptEditLoad": LoadAdaptEdit,
    "AdaptEditPredictRegion": PredictRegion,
    "AdaptEdit": AdaptEdit,
    "AdaptEditLoadAdapter": LoadAdapter,
    "AdaptEditApply": ApplyAdaptEdit,
    "AdaptEditCrop": CropToRegion,
    "AdaptEditStitch": Stitch,
}
NODE_DISPLAY_NAME_MAPPINGS = {
    "AdaptEditLoad": "Load AdaptEdit",
    "AdaptEditPredictRegion": "Predict Region (AdaptEdit)",
    "AdaptEdit": "AdaptEdit",
    "AdaptEditLoadAdapter": "Load Adapter (AdaptEdit)",
    "AdaptEditApply": "Apply AdaptEdit",
    "AdaptEditCrop": "Crop to Region (AdaptEdit)",
    "AdaptEditStitch": "Stitch (AdaptEdit)",
}
