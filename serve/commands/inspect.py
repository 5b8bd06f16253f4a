"""`signboard inspect`: what a file says, and the same picture from a server once more."""

import base64
import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from PIL import Image
from rich.table import Table

from deployments.errors import RequestError
from deployments.postprocess.files import inspect
from serve.http.wire import InspectionAnswer, inspection_answer

TIMEOUT_S = 300.0


class InspectionFailed(RuntimeError):
    """The file cannot be read, or not be repeated; the message says why."""


def read(path: Path) -> InspectionAnswer:
    """What a file says, read on this machine alone."""
    try:
        return inspection_answer(asdict(inspect(path.read_bytes())), kept=None)
    except (OSError, RequestError) as error:
        raise InspectionFailed(f"{path}: {error}") from None


def ask(path: Path, url: str) -> InspectionAnswer:
    """What a file says, and what the server's library knows of it beside that."""
    try:
        files = {"image": (path.name, path.read_bytes())}
    except OSError as error:
        raise InspectionFailed(f"{path}: {error}") from None
    return InspectionAnswer.model_validate(_post(f"{url}/v1/images/inspect", files=files))


def repeat(answer: InspectionAnswer, url: str) -> tuple[bytes, dict[str, Any]]:
    """Have the server make the picture again: its file, and the server's answer."""
    if answer.repeat is None:
        raise InspectionFailed("; ".join(answer.warnings) or "the file is none of Signboard's")
    told = _post(f"{url}{answer.repeat.route}", json=answer.repeat.body)
    return base64.b64decode(told["data"][answer.repeat.index]["b64_json"]), told


def same_pixels(one: bytes, other: bytes) -> bool:
    """Whether two files show the same picture, bit for bit."""
    first, second = (Image.open(io.BytesIO(data)).convert("RGB") for data in (one, other))
    return np.array_equal(np.asarray(first), np.asarray(second))


def table(answer: InspectionAnswer) -> Table:
    """All of it for people."""
    rows = Table(show_header=False, box=None)
    rows.add_row("file", f"{answer.format}, {answer.width}x{answer.height}")
    rows.add_row("digital source type", answer.digital_source_type or "none")
    if answer.description:
        rows.add_row("description", answer.description)
    if answer.credentials is None:
        rows.add_row("credentials", "none")
    else:
        told = answer.credentials
        problems = f" ({', '.join(told.problems)})" if told.problems else ""
        rows.add_row("credentials", f"{told.state}, signed by {told.signer or '?'}{problems}")
    for name, value in answer.making.items():
        rows.add_row(name, str(value))
    if answer.repeat is not None:
        rows.add_row("repeat", f"POST {answer.repeat.route}, picture {answer.repeat.index}")
    for warning in answer.warnings:
        rows.add_row("warning", warning)
    return rows


def _post(url: str, **content: Any) -> dict[str, Any]:
    try:
        answer = httpx.post(url, timeout=TIMEOUT_S, **content)
        told: dict[str, Any] = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise InspectionFailed(f"{url}: {error}") from None
    if answer.is_error:
        raise InspectionFailed(f"the server refused it: {told['error']['message']}")
    return told
