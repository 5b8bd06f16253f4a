"""What a client may ask of every finished file: words, formats, and how they are answered."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from deployments.errors import InvalidValue
from deployments.postprocess.schema import (
    PLACEMENTS,
    SIZE,
    Extension,
    FinishSpec,
    Output,
    OverlaySpec,
    find_placement,
)
from serve.http.wire.answers import picture_wanted

Metadata = Literal["full", "no_prompt"]
PLACED: JsonDict = {"anyOf": [{"enum": [*PLACEMENTS]}, {"pattern": f"^{SIZE.pattern}$"}]}
Placement = Annotated[str, Field(max_length=64, json_schema_extra=PLACED)]  # checked by `formats`


def prompt_in_file(metadata: Metadata | None, allowed: bool) -> bool:
    """Whether files may tell how their pictures were described. Raises InvalidValue.

    allowed: as the application is configured.
    """
    if metadata == "full" and not allowed:
        raise InvalidValue(
            "metadata: prompts are left out of all files here; ask for no_prompt or leave it out",
            "metadata",
            "unsupported_value",
        )
    return allowed and metadata != "no_prompt"


class FinishBody(BaseModel):
    """The fields that drawing a picture and finishing a kept one have in common."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    response_format: Literal["b64_json", "url"] = "b64_json"
    output_format: Literal["png", "jpeg", "webp", "avif"] | None = Field(
        default=None, description="png, unless the Accept header names another."
    )
    output_compression: int | None = Field(default=None, ge=0, le=100)
    overlay: OverlaySpec | None = Field(default=None, description="The words to set on it.")
    placement: Placement | None = Field(
        default=None,
        description="The format it is exported in, see /v1/capabilities; or WIDTHxHEIGHT.",
    )
    placements: (
        Annotated[
            list[Placement],
            Field(
                min_length=1, max_length=len(PLACEMENTS), json_schema_extra={"uniqueItems": True}
            ),
        ]
        | None
    ) = Field(default=None, description="Several formats, each a file with its own layout.")
    extend: Extension = Field(
        default="auto", description="How a picture goes on where it falls short of its placement."
    )

    metadata: Metadata | None = Field(
        default=None, description="no_prompt leaves the prompts out of the files."
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        return {
            name: value
            for name, value in data.items()
            if value is not None or name not in cls.model_fields
        }

    @property
    def formats(self) -> tuple[str | None, ...]:
        """The placements that are asked for, None for the size as drawn.

        Raises InvalidValue for one that there is not, that is named twice, or in two fields.
        """
        if self.placements is None:
            if self.placement is not None:
                find_placement(self.placement)
            return (self.placement,)
        if self.placement is not None:
            raise InvalidValue(
                "placement: placements names the formats too; give one of them",
                "placement",
                "contradiction",
            )
        for name in self.placements:
            find_placement(name, "placements")
        if len(set(self.placements)) < len(self.placements):
            raise InvalidValue(
                "placements: name each format once", "placements", "repeated_placement"
            )
        return tuple(self.placements)

    @property
    def asks_for_json(self) -> bool:
        """Whether it asks for what only JSON, and no raw picture, can answer."""
        layouts = self.overlay.layouts if self.overlay else 1
        return "response_format" in self.model_fields_set or layouts > 1 or len(self.formats) > 1

    def raw(self, accept: str | None) -> str | None:
        """The format of the raw picture to answer with, "any" for image/*; None for JSON."""
        return picture_wanted(accept, asks_for_json=self.asks_for_json)

    def finish_spec(self, accept: str | None, pictures: int) -> FinishSpec:
        """What is to become of so many pictures; its ids are not given yet.

        Raises InvalidValue for contradictions.
        """
        raw = self.raw(accept)
        if raw and self.response_format == "url":
            raise InvalidValue(
                "response_format: raw bytes come as they are; ask for application/json to get a "
                "URL",
                "response_format",
                "contradiction",
            )
        layouts = self.overlay.layouts if self.overlay else 1
        counts = {"n": pictures, "placements": len(self.formats), "overlay.layouts": layouts}
        several = next((name for name, count in counts.items() if count > 1), None)
        if raw and several:
            raise InvalidValue(
                f"{several}: raw bytes hold one file; ask for one or for application/json",
                several,
                "raw_needs_one",
            )
        if raw not in (None, "any", self.output_format) and self.output_format is not None:
            raise InvalidValue(
                f"output_format: {self.output_format} is not the image/{raw} of the Accept header",
                "output_format",
                "contradiction",
            )
        kind: Any = self.output_format or (raw if raw not in (None, "any") else "png")
        return FinishSpec(
            ids=(),
            overlay=self.overlay,
            placements=self.formats,
            output=Output(format=kind, compression=self.output_compression),
            extension=self.extend,
        )
