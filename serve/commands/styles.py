"""`signboard styles`: those of a running application shown, added and removed."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from rich.table import Table

TIMEOUT_S = 300.0
BESIDE = "adapter_config.json"  # peft's settings


class StylesFailed(RuntimeError):
    """The application does not answer, or refuses; the message says why."""


def listed(url: str) -> list[dict[str, Any]]:
    """All styles, as the server tells of them."""
    data: list[dict[str, Any]] = _ask("GET", f"{url}/v1/styles")["data"]
    return data


def add(url: str, fields: Mapping[str, str], file: Path, *, there: bool) -> dict[str, Any]:
    """Add a file as a style; what the server tells of it.

    there: whether the server has the file in its folder of added styles, by this name.
    """
    if there:
        # As a form of parts, which httpx makes of files alone; without a file's name it is text.
        form = {name: (None, value) for name, value in {**fields, "file": str(file)}.items()}
        return _ask("POST", f"{url}/v1/styles", files=form)
    with ExitStack() as ends:
        try:
            sent = {"file": (file.name, ends.enter_context(file.open("rb")))}
            beside = file.with_name(BESIDE)
            if beside.is_file():
                sent["settings"] = (BESIDE, ends.enter_context(beside.open("rb")))
        except OSError as error:
            raise StylesFailed(f"{file}: {error.strerror}") from None
        return _ask("POST", f"{url}/v1/styles", data=fields, files=sent)


def remove(url: str, name: str) -> None:
    """Remove a style that was added."""
    _ask("DELETE", f"{url}/v1/styles/{quote(name, safe='')}")


def table(styles: Sequence[Mapping[str, Any]]) -> Table:
    """All of them for people."""
    rows = Table(box=None)
    for title in ("style", "from", "weight", "bytes", "licence", "description"):
        rows.add_column(title, justify="right" if title in ("weight", "bytes") else "left")
    for style in styles:
        rows.add_row(
            style["id"],
            "added" if style["added"] else "the profile",
            f"{style['weight']:g}",
            f"{style['bytes']:,}" if style["added"] else "",
            style["licence"],
            style["description"],
        )
    return rows


def _ask(method: str, url: str, **content: Any) -> dict[str, Any]:
    try:
        answer = httpx.request(method, url, timeout=TIMEOUT_S, **content)
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise StylesFailed(f"{url}: {error}") from None
    if answer.is_error:
        raise StylesFailed(f"the server refused it: {told['error']['message']}")
    return told
