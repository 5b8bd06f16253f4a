"""What a client may send: strict bodies, and the parameters that they ask for."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.config import JsonDict

from deployments.diffusion.profile import MAX_REFERENCES, MAX_WEIGHT, DiffusionProfile
from deployments.diffusion.request import (
    MAX_STYLES,
    AddedStyle,
    AskedStyle,
    GenerationParams,
    Priority,
    Terms,
)
from deployments.errors import InvalidValue
from deployments.postprocess.schema import PICTURE_ID, DataUrl, KeptVariant
from serve.http.wire.errors import ModelNotFound
from serve.http.wire.finishing import FinishBody
from serve.http.wire.named_values import parse_json

MAX_PROMPT_CHARACTERS = 4000
RANDOM_SEEDS = 2**32
AT_LEAST_0: JsonDict = {"minimum": 0}  # told by the schema; the engine's own check refuses
AT_LEAST_1: JsonDict = {"minimum": 1}
FORM_TYPES: Mapping[str, type] = {
    "n": int,
    "output_compression": int,
    "stream": bool,
    "seed": int,
    "num_inference_steps": int,
    "guidance_scale": float,
    "deadline_s": float,
    "partial_images": int,
    "overlay": dict,
    "placements": list,
    "styles": list,
    "strength": float,
    "hires": bool,
    "progress": bool,
}
"""Fields of a form whose text is a number, a truth value or JSON; the others are text."""

Whole = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
"""A number that can be counted with and printed; which ones make sense is said elsewhere."""


class StyleBody(BaseModel):
    """One of several styles that are worn together."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: str = Field(max_length=64, description="One of those that /v1/capabilities lists.")
    weight: float | None = Field(
        default=None,
        json_schema_extra={"minimum": -MAX_WEIGHT, "maximum": MAX_WEIGHT},
        description="1 is as it was trained; the operator's own when absent.",
    )


class GenerationBody(FinishBody):
    """Body of POST /v1/images/generations. OpenAI's fields first, then Signboard's own."""

    prompt: str = Field(min_length=1, max_length=MAX_PROMPT_CHARACTERS)
    model: str | None = Field(
        default=None,
        max_length=256,
        description="The served model by one of its names, or nothing.",
    )
    n: Whole = Field(
        default=1,
        json_schema_extra=AT_LEAST_1,
        description="Pictures; picture i is drawn with seed + i.",
    )
    size: str = Field(
        default="auto",
        pattern=r"^(auto|[1-9]\d{1,4}x[1-9]\d{1,4})$",
        description="WIDTHxHEIGHT that is drawn; auto fits the placement or the given picture.",
    )
    quality: Literal["auto", "low", "medium", "high"] = Field(
        default="auto", description="Chooses the number of steps; see /v1/capabilities."
    )
    background: Literal["auto", "opaque"] = "auto"
    stream: bool = Field(default=False, description="Answer with server-sent events.")
    partial_images: Whole | None = Field(
        default=None,
        json_schema_extra={"minimum": 0, "maximum": 3},
        description="Previews of each picture, 0 to 3; of a streamed answer only.",
    )

    seed: Whole | None = Field(
        default=None, json_schema_extra=AT_LEAST_0, description="Random when absent; returned."
    )
    num_inference_steps: Whole | None = Field(
        default=None,
        json_schema_extra=AT_LEAST_1,
        description="Instead of quality: the number of denoising steps.",
    )
    guidance_scale: float | None = Field(
        default=None,
        json_schema_extra=AT_LEAST_0,
        description="Above 0 draws towards the prompt, at twice the work.",
    )
    hires: bool = Field(
        default=False, description="Draw a large size in two passes; see /v1/capabilities."
    )
    negative_prompt: str | None = Field(
        default=None,
        max_length=MAX_PROMPT_CHARACTERS,
        description="What to draw away from; read with guidance only.",
    )
    style: str | None = Field(
        default=None, max_length=64, description="One of those that /v1/capabilities lists."
    )
    styles: list[StyleBody] | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_STYLES,
        description="Several together, each with its weight; instead of style.",
    )
    priority: Priority = Field(
        default="interactive", description="Bulk work steps while no interactive work does."
    )
    deadline_s: float | None = Field(
        default=None,
        json_schema_extra={"exclusiveMinimum": 0},
        description="Seconds after which the answer is of no use any more.",
    )
    progress: bool = Field(
        default=False, description="Tell of steps, queue and time left; of a streamed answer only."
    )

    @property
    def asks_for_json(self) -> bool:
        """Whether it asks for what only JSON, or a stream, can answer."""
        return super().asks_for_json or self.n > 1 or self.stream

    def steps(self, profile: DiffusionProfile) -> int:
        """The steps that are asked for. Raises InvalidValue if quality says otherwise."""
        if self.num_inference_steps is None:
            if self.quality == "auto":
                return profile.steps.default
            return profile.steps.quality[self.quality]
        if self.quality != "auto":
            raise InvalidValue(
                "num_inference_steps: quality chooses the steps too; give one of them",
                "num_inference_steps",
                "contradiction",
            )
        return self.num_inference_steps

    def check_model(self, profile: DiffusionProfile) -> None:
        """Raise ModelNotFound unless the served model is asked for."""
        if self.model not in (None, profile.name):
            raise ModelNotFound(
                f"model: {self.model!r} is not served here; use {profile.name!r} or leave it out",
                "model",
                "model_not_found",
            )

    def terms(self) -> Terms:
        """How urgent it is, and what is told of it. Raises InvalidValue for what cannot be."""
        if self.partial_images and not self.stream:
            raise InvalidValue(
                "partial_images: previews are streamed; set stream to true or leave it out",
                "partial_images",
                "partial_images_without_stream",
            )
        if self.progress and not self.stream:
            raise InvalidValue(
                "progress: it is streamed; set stream to true or leave it out",
                "progress",
                "progress_without_stream",
            )
        terms = Terms(self.priority, self.deadline_s, previews=self.partial_images or 0)
        terms.check()
        return terms

    @property
    def style_names(self) -> list[str]:
        """Of all styles that are asked for."""
        several = [one.name for one in self.styles or ()]
        return several if self.style is None else [self.style, *several]

    def params(
        self,
        profile: DiffusionProfile,
        canvas: tuple[int, int],
        strength: float | None = None,
        added: Sequence[AddedStyle] = (),
    ) -> GenerationParams:
        """What the engine is asked for. added: the styles there are beside the profile's.

        Raises InvalidValue where the profile cannot serve it.
        """
        self.check_model(profile)
        guidance = self.guidance_scale
        params = GenerationParams(
            prompt=self.prompt,
            width=canvas[0],
            height=canvas[1],
            num_inference_steps=self.steps(profile),
            seed=secrets.randbelow(RANDOM_SEEDS) if self.seed is None else self.seed,
            n=self.n,
            strength=strength,
            guidance_scale=profile.guidance.default if guidance is None else guidance,
            negative_prompt=self.negative_prompt,
            style=self.style,
            styles=None
            if self.styles is None
            else tuple(AskedStyle(one.name, one.weight) for one in self.styles),
            added_styles=tuple(added),
            hires=self.hires,
        )
        params.check(profile)
        asked = tuple(style for style in added if style.name in self.style_names)
        return replace(params, added_styles=asked or None)


class EditBody(GenerationBody):
    """The fields, beside its files, of the form of POST /v1/images/edits."""

    strength: float | None = Field(
        default=None,
        json_schema_extra={"exclusiveMinimum": 0, "maximum": 1},
        description="In (0, 1]: how far the given picture is redrawn.",
    )
    fit: Literal["crop", "pad"] = Field(
        default="crop", description="How a picture of another aspect is fitted to the canvas."
    )
    keep: Literal["subject"] | None = Field(
        default=None, description="Instead of a mask: repaint all but the picture's subject."
    )

    def check_only_references(self) -> None:
        """Raise InvalidValue for what is said of a picture to redraw, where there is none."""
        for name in ("strength", "fit", "keep"):
            if name in self.model_fields_set and getattr(self, name) is not None:
                raise InvalidValue(
                    f"{name}: it is of a picture to redraw, and references are read as they are; "
                    "leave it out, or send a picture as 'image'",
                    name,
                    f"{name}_without_image",
                )

    def strength_by(self, profile: DiffusionProfile) -> float:
        """The strength that is asked for. What is around a kept subject is drawn wholly anew."""
        if self.strength is not None:
            return self.strength
        return 1.0 if self.keep else profile.default_strength


class KeptPicture(BaseModel):
    """A picture of the library: the clean one, or what an edit started from, with its mask, or one
    of the references that it read."""

    model_config = ConfigDict(extra="forbid", strict=True)

    image_id: str = Field(pattern=f"^{PICTURE_ID}$", description="Of a kept picture.")
    variant: Literal["clean", "source", "reference"] = "clean"
    number: int = Field(default=1, ge=1, le=MAX_REFERENCES, description="Of the reference, from 1.")

    @property
    def kept(self) -> KeptVariant:
        """The same for the library."""
        return KeptVariant(self.image_id, self.variant, self.number)


References = Annotated[
    list[DataUrl | KeptPicture],
    Field(
        max_length=MAX_REFERENCES,
        description="Pictures that the model reads beside the prompt, each in its own size.",
    ),
]


class KeptEditBody(EditBody):
    """The JSON body of POST /v1/images/edits, of a kept picture and the mask that it had."""

    image: KeptPicture
    references: References = Field(default=[])


class SentEditBody(EditBody):
    """The same, of a picture and a mask that are sent."""

    image: DataUrl = Field(description="A data URL (base64) of a PNG, JPEG, WebP or AVIF.")
    mask: DataUrl | None = Field(default=None, description="As in the form, as a data URL.")
    references: References = Field(default=[])


class ReferringEditBody(EditBody):
    """The same, of references alone: no picture is redrawn."""

    references: References = Field(min_length=1)


def form_value(name: str, text: str) -> Any:
    """A form's text as the value that a JSON body would hold; as it is where it is no such value,
    for the field's own check to refuse by name. Raises InvalidValue for JSON that is broken.
    """
    kind = FORM_TYPES.get(name, str)
    if kind is list and not text.lstrip().startswith("["):
        return [text]
    if kind in (dict, list):
        return parse_json(text.encode(errors="surrogatepass"), name)
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError:
        return None if text == "null" else text
