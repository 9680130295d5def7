"""Everything that can go wrong, as OpenAI's clients expect it: {"error": {message, type, param, code}}."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from adaptedit.errors import AdaptEditError, GlobalEdit, NoAdapter, NotEnoughMemory, RegionNotFound

NO_ADAPTER = (
    "this editor has no adapter, so it does not find the place by itself; send a mask or everywhere=true to "
    "/v1/images/edits"
)
CODES: dict[type[AdaptEditError], str] = {RegionNotFound: "region_not_found", GlobalEdit: "global_edit"}


class ErrorDetail(BaseModel):
    message: str
    type: str
    param: str | None
    code: str


class ErrorBody(BaseModel):
    error: ErrorDetail


class Problem(Exception):
    """An answer that is no edit. code: for programs, stable. param: the form field that is wrong."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.param = status, code, message, param
        self.headers = dict(headers or {})

    @classmethod
    def of(cls, error: AdaptEditError, param: str | None = None) -> Problem:
        """422 where all is well but there is no local region to edit, 503 where the memory does not suffice,
        400 for what the caller can fix."""
        code = CODES.get(type(error))
        if code:
            return cls(422, code, str(error), param="prompt")
        if isinstance(error, NoAdapter):
            return cls(400, "region_required", NO_ADAPTER, param="mask")
        if isinstance(error, NotEnoughMemory):
            return cls(503, "out_of_memory", str(error))
        return cls(400, "invalid_value", str(error), param=param)

    def body(self) -> ErrorBody:
        names = {401: "authentication_error", 429: "rate_limit_error"}
        kind = names.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return ErrorBody(error=ErrorDetail(message=self.message, type=kind, param=self.param, code=self.code))


def busy(status: int, code: str, message: str, seconds: int) -> Problem:
    """Nothing is wrong with the request; it may come again in so many seconds."""
    return Problem(status, code, message, headers={"Retry-After": str(seconds)})
