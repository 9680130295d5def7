"""The loaded editor: the only thing that all visitors share, and they use it one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from adaptedit.editing.options import LoadOptions
from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.interfaces.ui.work import Progress, Tell

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline


class Models:
    """Keeps one editor, the newest: a second one seldom fits the memory.

    default: the editor that is used unless a visitor names another backbone or adapter.
    fixed: visitors cannot, because whoever can name a model can make this machine download it.
    """

    def __init__(
        self,
        default: LoadOptions | None = None,
        *,
        fixed: bool = False,
        load: Callable[[LoadOptions], AdaptEditPipeline] = load_pipeline,
    ) -> None:
        self.default = default or LoadOptions()
        self.fixed = fixed
        self._load = load
        self._loaded: tuple[LoadOptions, AdaptEditPipeline] | None = None
        self._lock = threading.Lock()

    def warm(self) -> None:
        """Loads the default now, so that what is wrong with it shows at once."""
        with self.using("", "", lambda progress: None):
            pass

    @contextmanager
    def using(self, backbone: str, adapter: str, tell: Tell) -> Iterator[AdaptEditPipeline]:
        """The editor, for the caller alone, loaded if it is not yet. Empty names mean the defaults.

        Raises AdaptEditError if it cannot be loaded, and what `tell` raises while waiting.
        """
        wanted = self._wanted(backbone.strip(), adapter.strip())
        if self.fixed and wanted != self.default:
            raise AdaptEditError(
                f"this page has {self.default.backbone} only; run `adaptedit ui` on your own machine for "
                "others"
            )
        while not self._lock.acquire(timeout=0.2):
            tell(Progress("Waiting for another edit to finish"))
        try:
            if self._loaded is None or self._loaded[0] != wanted:
                tell(Progress(f"Loading {wanted.backbone}"))
                self._loaded = None
                self._loaded = wanted, self._load(wanted)
            yield self._loaded[1]
        finally:
            self._lock.release()

    def _wanted(self, backbone: str, adapter: str) -> LoadOptions:
        """A named backbone without an adapter has none, or its own."""
        if not backbone or backbone == self.default.backbone:
            return replace(self.default, adapter=adapter or self.default.adapter)
        return replace(self.default, backbone=backbone, adapter=adapter or None)
