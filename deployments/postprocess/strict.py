"""The base of all that a client may send: nothing unknown, nothing coerced, nothing infinite."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
