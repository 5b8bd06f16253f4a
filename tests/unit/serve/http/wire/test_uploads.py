"""Edits as JSON with data URLs, read as the form is."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi import Request
from starlette.exceptions import HTTPException

from deployments.diffusion.profile import References
from deployments.errors import InvalidValue, TooLarge
from deployments.postprocess.schema import KeptVariant
from serve.http.wire.habits import Habits
from serve.http.wire.uploads import EditForm, read_edit
from serve.profiles import load_profile
from tests.unit.postprocess.artworks import data_url
from tests.unit.postprocess.pictures import as_file, plain

LIMIT = 100_000
FILE = as_file(plain(8, 8))
IMAGE = ('name="image"; filename="a.png"', FILE)
KEPT = {"image_id": "img_" + "0" * 44}


HABITS = Habits(load_profile("embedded"))


def read(**fields: Any) -> EditForm:
    return read_body(json.dumps({"prompt": "a pear", **fields}).encode(), "application/json")


def read_body(body: bytes, kind: str, habits: Habits = HABITS) -> EditForm:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "headers": [(b"content-type", kind.encode())]}
    return asyncio.run(read_edit(Request(scope, receive), LIMIT, habits))


def read_form(
    *parts: tuple[str, bytes],
    image: bool = True,
    habits: Habits = HABITS,
    preamble: bytes = b"",
    kind: str = "multipart/form-data",
) -> EditForm:
    """Parts: the whole of Content-Disposition after its kind, further headers, and the value."""
    own = [('name="prompt"', b"a pear")] + ([IMAGE] if image else [])
    made = (
        b"--XX\r\nContent-Disposition: form-data; " + head.encode() + b"\r\n\r\n" + value + b"\r\n"
        for head, value in (*own, *parts)
    )
    body = preamble + b"".join(made) + b"--XX--\r\n"
    return read_body(body, f"{kind}; boundary=XX", habits)


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json ; charset=utf-8"])
def test_a_json_body_is_told_by_its_media_type_in_any_case(kind: str) -> None:
    body = json.dumps({"prompt": "a pear", "image": data_url(FILE)}).encode()
    assert read_body(body, kind).image == FILE


def test_a_form_is_told_by_its_media_type_in_any_case() -> None:
    assert read_form(kind="Multipart/Form-Data").image == FILE


def test_a_picture_and_its_mask_come_as_data_urls() -> None:
    mask = as_file(plain(8, 8, (255, 255, 255)), "WEBP")
    form = read(image=data_url(FILE), mask=data_url(mask, "WEBP"), strength=0.5)
    assert (form.image, form.mask) == (FILE, mask)
    assert form.body.strength == 0.5
    assert read(image=data_url(FILE)).mask is None


def test_a_kept_picture_is_still_named_by_its_id() -> None:
    form = read(image=KEPT)
    assert form.image == KeptVariant(KEPT["image_id"])
    assert form.mask is None


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"image": "https://example.com/a.png"}, InvalidValue, "image", "invalid_value"),
        ({"image": "data:image/svg+xml;base64,AAAA"}, InvalidValue, "image", "invalid_value"),
        ({"image": data_url(FILE) + "%"}, InvalidValue, "image", "invalid_base64"),
        ({"image": data_url(FILE) + "é"}, InvalidValue, "image", "invalid_base64"),
        ({"image": data_url(b"x" * (LIMIT + 9))}, TooLarge, "image", "too_many_bytes"),
        ({"image": data_url(FILE), "mask": "a.png"}, InvalidValue, "mask", "invalid_value"),
        ({"image": KEPT, "mask": data_url(FILE)}, InvalidValue, "mask", "unknown_field"),
        ({"image": [data_url(FILE)] * 2}, InvalidValue, "image", "repeated_field"),
        ({"images": []}, InvalidValue, "image", "repeated_field"),
        ({"images": [{"file_id": "file-1"}]}, InvalidValue, "image.image_id", "missing_field"),
        ({}, InvalidValue, "image", "missing_field"),
    ],
)  # fmt: skip
def test_what_is_no_picture_is_refused_by_its_field(
    fields: dict[str, Any], error: type[InvalidValue | TooLarge], param: str, code: str
) -> None:
    with pytest.raises(error) as caught:
        read(**fields)
    assert (caught.value.param, caught.value.code) == (param, code)


def test_openais_json_edit_is_taken() -> None:
    url = data_url(FILE)
    for fields in (
        {"images": [{"image_url": url}]},
        {"images": [{"image_url": {"url": url, "detail": "auto"}}]},
        {"image": [url]},
        {"image": url, "mask": {"image_url": url}},
    ):
        form = read(**fields)
        assert form.image == FILE
        assert form.mask == (FILE if "mask" in fields else None)


@pytest.mark.parametrize(
    "write",
    [
        lambda url: url.replace("image/png", "image/jpg"),
        lambda url: url.replace("data:image/png;base64", "DATA:IMAGE/PNG;BASE64"),
        lambda url: url.replace(";base64", ";charset=utf-8;name=a.png;base64"),
        lambda url: "\r\n".join(url[start : start + 76] for start in range(0, len(url), 76)),
        lambda url: f" {url}\n",
        lambda url: url.rstrip("="),
        lambda url: url.replace("=", "%3D").replace("+", "%2B"),
    ],
)
def test_data_urls_as_browsers_take_them(write: Callable[[str], str]) -> None:
    padded = FILE + b"\0" * (1 + -len(FILE) % 3)  # so that there is padding to lose
    assert read(image=write(data_url(padded))).image == padded


def test_what_a_browsers_form_leaves_untouched_is_absent() -> None:
    untouched = 'name="mask"; filename=""\r\nContent-Type: application/octet-stream'
    form = read_form((untouched, b""), ('name="seed"', b""), ('name="bogus"', b""))
    assert (form.image, form.mask, form.body.seed) == (FILE, None, None)
    assert read_form(('name="mask"', b"")).mask is None


@pytest.mark.parametrize(
    "head",
    [
        'name="image"\r\nContent-Type: image/png',
        "name=\"image\"; filename*=UTF-8''%EC%82%AC.png",
        'name="image[]"; filename="a.png"',
        'name="image[0]"; filename="a.png"',
    ],
)
def test_a_file_however_it_is_named(head: str) -> None:
    assert read_form((head, FILE), image=False).image == FILE


def test_a_mask_in_a_list() -> None:
    assert read_form(('name="mask[]"; filename="m.png"', FILE)).mask == FILE


def test_a_preamble_is_for_nobody() -> None:
    for preamble in (b"a preamble\r\n", b"with --XX inside\r\n", b"\r\n", b"x" * 5000 + b"\r\n"):
        assert read_form(preamble=preamble).image == FILE


def test_lists_come_in_any_way() -> None:
    for parts in (
        [('name="placements[]"', b"story"), ('name="placements[]"', b"banner")],
        [('name="placements"', b"story"), ('name="placements"', b"banner")],
        [('name="placements"', b'["story", "banner"]')],
    ):
        assert read_form(*parts).body.placements == ["story", "banner"]


def test_text_in_the_charset_that_it_names() -> None:
    form = read_form(('name="style"\r\nContent-Type: text/plain; charset=ISO-8859-1', b"n\xe9"))
    assert form.body.style == "né"


@pytest.mark.parametrize(
    ("parts", "param", "says"),
    [
        ([('name="style"', "노란".encode("cp949"))], "style", "not UTF-8"),
        ([('name="style"\r\nContent-Type: text/plain; charset=x', b"a")], "style", "text in x"),
        ([('name="image[]"; filename="b.png"', FILE)], "image", "2 pictures.*one picture is taken"),
        ([IMAGE] * 4, "image", "5 pictures.*one picture is taken"),
        ([('name="file"; filename="b.png"', FILE)], "file", "did you mean|unknown fields"),
        ([('name="overlay[layers][][role]"', b"cta")], "overlay", "as one field of JSON"),
        ([('name="overlay"', b'{"layers": [')], "overlay", "not valid JSON: EOF.*column 12"),
        ([('name="overlay"', b"[" * 50_000)], "overlay", "recursion limit"),
        ([('name="seed"', b"7" * 5000)], "seed", "valid integer"),
        ([('name="seed"', b"1"), ('name="seed"', b"2")], "seed", "once"),
        ([('name="mask"', b"x")], "mask", "a file, not text"),
        ([('name="style"; filename="x"', b"x")], "style", "text, not a file"),
        ([('name="steps"', b"4")], "steps", "did you mean 'num_inference_steps'"),
    ],
)
def test_what_a_form_has_wrong_is_named(
    parts: list[tuple[str, bytes]], param: str, says: str
) -> None:
    with pytest.raises(InvalidValue, match=says) as caught:
        read_form(*parts)
    assert caught.value.param == param


def test_a_file_under_another_name_is_named() -> None:
    with pytest.raises(InvalidValue, match="required; a file came as 'file'") as caught:
        read_form(('name="file"; filename="b.png"', FILE), image=False)
    assert caught.value.param == "image"


def test_unknown_fields_may_be_left_unread() -> None:
    lenient = replace(HABITS, unknown="warn")
    form = read_form(
        ('name="file"; filename="b.png"', FILE), ('name="bogus"', b"1"), habits=lenient
    )
    assert form.warnings == ("unknown fields were left unread: bogus, file",)


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("", "Content-Type: the header is missing; send multipart/form-data"),
        ("text/plain", "Content-Type: text/plain is not read here"),
        ("application/x-www-form-urlencoded", "application/json"),
        ("application/jsonp", "application/jsonp is not read here"),
        ("multipart/form-data-x", "multipart/form-data-x is not read here"),
    ],
)
def test_other_media_types_are_told_what_to_send(kind: str, says: str) -> None:
    with pytest.raises(HTTPException, match=says) as caught:
        read_body(b"x", kind)
    assert caught.value.status_code == 415


OTHER = as_file(plain(8, 8, (9, 9, 9)))
REFERRING = Habits(
    HABITS.profile.model_copy(update={"references": References(most=3)}), unknown="refuse"
)


def sent_json(**fields: Any) -> EditForm:
    body = json.dumps({"prompt": "a pear", **fields}).encode()
    return read_body(body, "application/json", REFERRING)


def sent_files(*names: str) -> EditForm:
    """Files in turn, under these names."""
    files = [FILE, OTHER, FILE]
    parts = [
        (f'name="{name}"; filename="{i}.png"', file)
        for i, (name, file) in enumerate(zip(names, files, strict=False))
    ]
    return read_form(*parts, image=False, habits=REFERRING)


def test_references_come_as_every_other_picture_does() -> None:
    url, other = data_url(FILE), data_url(OTHER)
    kept = {**KEPT, "variant": "reference", "number": 2}
    form = sent_json(references=[url, {"image_url": {"url": other}}, kept])
    assert form.references == (FILE, OTHER, KeptVariant(KEPT["image_id"], "reference", 2))
    assert (form.image, form.mask) == (None, None)
    form = sent_json(image=url, references=[other])
    assert (form.image, form.references) == (FILE, (OTHER,))
    form = sent_json(image=KEPT, references=[other])
    assert (form.image, form.references) == (KeptVariant(KEPT["image_id"]), (OTHER,))
    for names in (("references", "references"), ("references[]",) * 2, ("image", "image[]")):
        form = sent_files(*names)
        assert (form.image, form.references) == (None, (FILE, OTHER))
    form = sent_files("image", "references")
    assert (form.image, form.references) == (FILE, (OTHER,))


def test_several_images_are_references_but_for_the_one_of_a_mask() -> None:
    url, other = data_url(FILE), data_url(OTHER)
    several = {"images": [{"image_url": url}, {"image_url": other}]}
    assert sent_json(**several).references == (FILE, OTHER)
    masked = sent_json(**several, mask={"image_url": url})
    assert (masked.image, masked.mask, masked.references) == (FILE, FILE, (OTHER,))
    masked = sent_files("image[]", "image[]", "mask")
    assert (masked.image, masked.mask, masked.references) == (FILE, FILE, (OTHER,))


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"images": [data_url(FILE)] * 4}, "references", "4 are more than the 3"),
        ({"references": [data_url(FILE)] * 4}, "references", "4 are more than the 3"),
        ({"references": [data_url(FILE) + "%"]}, "references.0", "base64"),
        ({"references": ["a.png"]}, "references.0", ""),
        ({"references": []}, "references", ""),
        ({"references": [data_url(FILE)], "mask": data_url(FILE)}, "mask", ""),
    ],
)
def test_references_that_cannot_be_taken_are_refused(
    fields: dict[str, Any], param: str, says: str
) -> None:
    with pytest.raises(InvalidValue, match=says) as caught:
        sent_json(**fields)
    assert (caught.value.param or "").startswith(param)


def test_a_model_that_reads_none_says_so() -> None:
    with pytest.raises(InvalidValue, match="reads no references, so one picture") as caught:
        read_form(IMAGE)
    assert caught.value.param == "image"
    for form in (
        lambda: read(references=[data_url(FILE)]),
        lambda: read_form(('name="references"; filename="a.png"', FILE)),
    ):
        with pytest.raises(InvalidValue, match=r"references: embedded reads none; .*'image'"):
            form()


def test_a_mask_without_its_picture_is_refused() -> None:
    with pytest.raises(InvalidValue, match="image: required") as caught:
        sent_files("references", "mask")
    assert caught.value.param == "image"
