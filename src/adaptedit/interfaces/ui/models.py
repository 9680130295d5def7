"""The loaded editor: the only thing that all visitors share, and they use it one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from adaptedit.errors import AdaptEditError
from adaptedit.interfaces.loading import load_pipeline
from adaptedit.interfaces.ui.work import Progress, Tell

if TYPE_CHECKING:
    from adaptedit.editing.pipeline import AdaptEditPipeline

Names = tuple[str, str | None]  # backbone, adapter


class Models:
    """Keeps one editor, the newest: a second one seldom fits the memory (our choice).

    names: the backbone and adapter that are used unless a visitor names others.
    fixed: visitors cannot, because whoever can name a model can make this machine download it.
    """

    def __init__(
        self,
        names: Names = ("tiny", None),
        *,
        fixed: bool = False,
        load: Callable[[str, str | None], AdaptEditPipeline] = load_pipeline,
    ) -> None:
        self.names = names
        self.fixed = fixed
        self._load = load
        self._loaded: tuple[Names, AdaptEditPipeline] | None = None
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
        names = (backbone.strip() or self.names[0], adapter.strip() or None)
        if names == (self.names[0], None):
            names = self.names
        if self.fixed and names != self.names:
            raise AdaptEditError(
                f"this page has {self.names[0]} only; run `adaptedit ui` on your own machine for others"
            )
        while not self._lock.acquire(timeout=0.2):
            tell(Progress("Waiting for another edit to finish"))
        try:
            if self._loaded is None or self._loaded[0] != names:
                tell(Progress(f"Loading {names[0]}"))
                self._loaded = None
                self._loaded = names, self._load(*names)
            yield self._loaded[1]
        finally:
            self._lock.release()
