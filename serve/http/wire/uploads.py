"""An edit's form or JSON body read into its fields and its files, within bounds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from starlette.datastructures import UploadFile

from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.request import check_references
from deployments.errors import InvalidValue, TooLarge
from deployments.postprocess.schema import KeptVariant, read_data_url
from serve.http.wire.bodies import (
    EditBody,
    KeptEditBody,
    KeptPicture,
    ReferringEditBody,
    SentEditBody,
    form_value,
)
from serve.http.wire.errors import validate
from serve.http.wire.habits import Habits, shortened
from serve.http.wire.named_values import FORM, form_parts, is_json, media_type, read_json, unread

FILE_NAMES = ("image", "mask", "references")
LIST_NAMES = ("placements",)
INDEXED = re.compile(r"(\w+)\[\d*\]")  # image[], as openai's clients send a list; image[0]
WITHIN = re.compile(r"(\w+)\[")

Sent = TypeVar("Sent")


@dataclass(frozen=True, slots=True)
class EditForm:
    """The checked fields and the bytes, as yet unread, of the files; or kept pictures' names.

    image: to be redrawn; None where there are references alone. warnings: what became of fields
    that are other servers'.
    """

    body: EditBody
    image: bytes | KeptVariant | None
    mask: bytes | None
    references: tuple[bytes | KeptVariant, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """A form's texts as values and its files, by their names."""

    values: dict[str, Any]
    files: dict[str, list[bytes]]


async def read_edit(request: Request, max_upload_bytes: int, habits: Habits) -> EditForm:
    """Read an edit, a form or a JSON body.

    Raises InvalidValue or TooLarge naming the field, HTTPException 415.
    """
    accept = request.headers.get("accept")
    kind = media_type(request)
    if kind == FORM:
        form = await _read_form(request, max_upload_bytes)
        images, masks = form.files.get("image", []), form.files.get("mask", [])
        if not images and (masks or "references" not in form.files):
            _required(form.files)
        image, brought = _by_role(images, form.files.get("references", []), masks, habits.profile)
        others = dict.fromkeys(name for name in form.files if name not in FILE_NAMES)
        fields, warnings = habits.take({**form.values, **others}, EditBody.model_fields, accept)
        mask = _only("mask", masks) if masks else None
        return EditForm(validate(EditBody, fields), image, mask, brought, warnings)
    if not is_json(kind):
        raise unread(kind, f"{FORM} with the picture as 'image', or application/json")
    sent = _as_ours(await read_json(request), habits.profile)
    model: type[SentEditBody | KeptEditBody | ReferringEditBody] = KeptEditBody
    if isinstance(sent.get("image"), str):
        model = SentEditBody
    elif "image" not in sent and "references" in sent:
        model = ReferringEditBody
    fields, warnings = habits.take(sent, model.model_fields, accept)
    body: SentEditBody | KeptEditBody | ReferringEditBody = validate(model, fields)
    check_references(len(body.references), habits.profile)
    references = tuple(
        one.kept
        if isinstance(one, KeptPicture)
        else read_data_url(one, f"references.{i}", max_upload_bytes)
        for i, one in enumerate(body.references)
    )
    if isinstance(body, ReferringEditBody):
        return EditForm(body, None, None, references, warnings)
    if isinstance(body, KeptEditBody):
        return EditForm(body, body.image.kept, None, references, warnings)
    return EditForm(
        body,
        read_data_url(body.image, "image", max_upload_bytes),
        read_data_url(body.mask, "mask", max_upload_bytes) if body.mask else None,
        references,
        warnings,
    )


async def read_image(request: Request, max_upload_bytes: int) -> bytes:
    """The only field of a form, the file "image". Raises as `read_edit` does."""
    kind = media_type(request)
    if kind != FORM:
        raise unread(kind, f"{FORM} with the picture as 'image'")
    form = await _read_form(request, max_upload_bytes)
    image = _required(form.files)
    for name in (*form.values, *form.files):
        if name != "image":
            message = f"{name}: not a field of this request; leave it out"
            raise InvalidValue(message, name, "unknown_field")
    return _only("image", image)


def _as_ours(fields: dict[str, Any], profile: DiffusionProfile) -> dict[str, Any]:
    """A JSON edit with its pictures as OpenAI's clients write them, as `image`, `mask` and
    `references`.

    OpenAI's has {"images": [{"image_url": "data:..."}], "mask": {"image_url": "data:..."}}.
    """
    if "images" in fields and "image" not in fields:
        fields["image"] = fields.pop("images")
    if isinstance(fields.get("references"), list):
        fields["references"] = [_one("references", one) for one in fields["references"]]
    images = fields.get("image")
    if isinstance(images, list) and images:
        brought = fields.get("references") or []
        masks = [fields["mask"]] if fields.get("mask") else []
        image, references = _by_role(
            [_one("image", one) for one in images],
            brought if isinstance(brought, list) else [brought],
            masks,
            profile,
        )
        del fields["image"]
        fields |= {"image": image} if image is not None else {}
        fields |= {"references": list(references)} if references else {}
    for name in ("image", "mask"):
        if name in fields:
            fields[name] = _one(name, fields[name])
    return fields


def _by_role(
    images: Sequence[Sent],
    references: Sequence[Sent],
    masks: Sequence[Any],
    profile: DiffusionProfile,
) -> tuple[Sent | None, tuple[Sent, ...]]:
    """The picture to redraw, None where there is none, and the references.

    Of several images a mask is the first one's, as OpenAI has it, and the others are references;
    without one all are. Raises InvalidValue where the model reads none.
    """
    if len(images) > 1 and profile.references is None:
        raise InvalidValue(
            f"image: {len(images)} pictures were sent; {profile.name} reads no references, so one "
            "picture is taken, the one to redraw",
            "image",
            "repeated_field",
        )
    redrawn = images[:1] if len(images) == 1 or masks else []
    brought = (*images[len(redrawn) :], *references)
    check_references(len(brought), profile)
    return (redrawn[0] if redrawn else None), brought


def _one(name: str, value: Any) -> Any:
    """The only picture of a value, however it is wrapped."""
    if isinstance(value, list):
        return _one(name, _only(name, value))
    if isinstance(value, dict) and "image_url" in value:
        return _one(name, value["image_url"])
    if isinstance(value, dict) and set(value) <= {"url", "detail"} and "url" in value:
        return value["url"]
    return value


def _only(name: str, sent: Sequence[Sent]) -> Sent:
    if len(sent) != 1:
        message = f"{name}: {len(sent)} pictures were sent; one picture is taken"
        raise InvalidValue(message, name, "repeated_field")
    return sent[0]


async def _read_form(request: Request, max_upload_bytes: int) -> Form:
    """A form's values and files; an overlay's text may hold a file in base64.

    Empty texts, and file inputs that nobody touched, are absent.
    """
    texts: dict[str, list[str]] = {}
    files: dict[str, list[UploadFile]] = {}
    async with form_parts(request, 2 * max_upload_bytes) as parts:
        for sent_as, part in parts:
            name = _name(sent_as)
            if isinstance(part, UploadFile):
                if part.filename or part.size:
                    files.setdefault(name, []).append(part)
            elif part:
                texts.setdefault(name, []).append(part)
        for name in [*texts, *files]:
            if (name in files) != (name in FILE_NAMES) and name in _KNOWN:
                wanted, sent = ("a file", "text") if name in FILE_NAMES else ("text", "a file")
                raise InvalidValue(f"{name}: send {wanted}, not {sent}", name, "invalid_value")
        values = {name: _value(name, sent) for name, sent in texts.items()}
        bodies = {
            name: [await _bytes(name, one, max_upload_bytes) for one in sent]
            for name, sent in files.items()
        }
    return Form(values, bodies)


_KNOWN = frozenset((*EditBody.model_fields, *FILE_NAMES))


def _name(sent_as: str) -> str:
    """The field that a form's part is of. Raises InvalidValue for one that is taken apart."""
    indexed = INDEXED.fullmatch(sent_as)
    if indexed and indexed[1] in (*FILE_NAMES, *LIST_NAMES):
        return indexed[1]
    within = WITHIN.match(sent_as)
    if within and within[1] in _KNOWN:
        name = within[1]
        message = (
            f"{name}: it came in parts ({shortened(sent_as)}); send {name} as one field of JSON"
        )
        raise InvalidValue(message, name, "field_in_parts")
    return sent_as


def _value(name: str, sent: Sequence[str]) -> Any:
    if name in LIST_NAMES:
        return [one for text in sent for one in form_value(name, text)]
    if len(sent) > 1:
        raise InvalidValue(f"{name}: send it once", name, "repeated_field")
    return form_value(name, sent[0])


def _required(files: Mapping[str, list[bytes]]) -> list[bytes]:
    if "image" not in files:
        others = [name for name in files if name not in FILE_NAMES]
        came = f"a file came as {shortened(others[0])!r}, an unknown field; " if others else ""
        message = f"image: required; {came}send the picture's file as 'image'"
        raise InvalidValue(message, "image", "missing_field")
    return files["image"]


async def _bytes(name: str, file: UploadFile, limit: int) -> bytes:
    if file.size is not None and file.size > limit:
        raise TooLarge(
            f"{name}: {file.size} bytes are more than the {limit} allowed", name, "file_too_large"
        )
    return await file.read()
