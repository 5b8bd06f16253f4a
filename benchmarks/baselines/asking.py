"""What a client of a baseline server asks for, as diffusers' pipelines take it."""

import base64
import io
import secrets
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from fastapi import UploadFile
from PIL import Image
from pydantic import BaseModel

from benchmarks.harness import Kind


class Fields(BaseModel):
    """Of a picture from a prompt. size: WIDTHxHEIGHT."""

    prompt: str
    size: str = "256x256"
    num_inference_steps: int = 8
    seed: int | None = None


class EditForm(Fields):
    """Of an edit. mask: transparent where to repaint."""

    strength: float = 0.6
    image: UploadFile
    mask: UploadFile | None = None


@dataclass(frozen=True)
class Asked:
    """One picture that is to be drawn."""

    kind: Kind
    fields: Fields
    image: Image.Image | None = None
    mask: Image.Image | None = None

    @property
    def alike(self) -> Hashable:
        """Pictures with equal values may be drawn by one call of a pipeline."""
        strength = self.fields.strength if isinstance(self.fields, EditForm) else None
        return self.kind, self.fields.size, self.fields.num_inference_steps, strength


def edit(form: EditForm) -> Asked:
    """An edit, its files decoded."""
    image = Image.open(form.image.file).convert("RGB")
    if form.mask is None:
        return Asked("i2i", form, image)
    alpha = Image.open(form.mask.file).getchannel("A")
    return Asked("inpaint", form, image, alpha.point(lambda value: 255 if value < 128 else 0))


def call(alike: Sequence[Asked]) -> dict[str, Any]:
    """Arguments of the pipeline that draws all of them at once."""
    first = alike[0].fields
    width, height = (int(side) for side in first.size.split("x"))
    arguments: dict[str, Any] = {
        "prompt": [one.fields.prompt for one in alike],
        "width": width,
        "height": height,
        "num_inference_steps": first.num_inference_steps,
        "guidance_scale": 0.0,
        "generator": [torch.Generator().manual_seed(_seed(one.fields)) for one in alike],
    }
    if isinstance(first, EditForm):
        arguments |= {"image": [one.image for one in alike], "strength": first.strength}
    if alike[0].mask is not None:
        arguments["mask_image"] = [one.mask for one in alike]
    return arguments


def answer(picture: Image.Image) -> dict[str, Any]:
    """The answer in OpenAI's shape: a PNG in base64."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=1)  # as Signboard's
    return {"data": [{"b64_json": base64.b64encode(buffer.getvalue()).decode()}]}


def _seed(fields: Fields) -> int:
    return secrets.randbelow(2**32) if fields.seed is None else fields.seed
