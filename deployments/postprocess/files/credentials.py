"""Content credentials (C2PA): who signed a file, that a model made it, and that it is unchanged.

The only file that knows c2pa. Nothing is fetched from the network, neither to sign nor to check.
"""

import io
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import c2pa
from PIL import Image
from pydantic import BaseModel, ConfigDict

from deployments.postprocess.files import xmp
from deployments.postprocess.files.xmp import SOURCE_TYPE
from deployments.postprocess.schema import Delivery, File

log = logging.getLogger(__name__)
UNSIGNED = "the file could not be signed: it carries no credentials"
_SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
}


class CredentialFiles(BaseModel):
    """What to sign with. certificates: PEM file of the chain, the signer's own first.

    key: PEM file of its private key, not encrypted. algorithm: of the key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    certificates: str
    key: str
    algorithm: Literal["es256", "es384", "es512", "ps256", "ps384", "ps512", "ed25519"] = "es256"


class SigningFailed(Exception):
    """What c2pa says of a key, a chain or a file with which it can do nothing."""


class Signatory:
    """Signs files. For any thread.

    Raises ValueError where the files cannot be read, or what they hold cannot sign.
    """

    def __init__(self, files: CredentialFiles) -> None:
        self._chain = _read("certificates", files.certificates)
        self._key = _read("key", files.key)
        self._algorithm = files.algorithm
        try:
            self.sign(_probe(), "image/png")
        except SigningFailed as error:
            raise ValueError(
                "credentials: nothing can be signed with these certificates, key and "
                f"algorithm: {error}"
            ) from None

    def sign(self, data: bytes, media_type: str) -> bytes:
        """The same file with credentials, which hold until a byte of it is changed.

        They say of its making what the file itself says. No two signatures are equal. Raises
        SigningFailed, of a certificate that has expired for example.
        """
        signed = io.BytesIO()
        facts = xmp.read(data).facts
        info = c2pa.C2paSignerInfo(self._algorithm.encode(), self._chain, self._key, None)
        try:
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(_manifest(facts), _context()) as builder,
            ):
                builder.sign(signer, media_type, io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise SigningFailed(str(error)) from None
        return signed.getvalue()


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file's credentials say. state: c2pa's own: Invalid; Valid: whole and unchanged;
    Trusted: signed by somebody on a list of trust, too, of which we keep none.

    issuer, signer: as the certificate names them. maker: what claims to have made the file.
    digital_source_type: as claimed. problems: codes of what was found wrong or unproven.
    """

    state: Literal["Invalid", "Valid", "Trusted"]
    issuer: str | None
    signer: str | None
    maker: str | None
    digital_source_type: str | None
    problems: tuple[str, ...]


def read(data: bytes, media_type: str) -> Credentials | None:
    """A file's credentials, checked against it; None where it has none."""
    try:
        reader = c2pa.Reader.try_create(media_type, io.BytesIO(data), context=_context())
        if reader is None:
            return None
        with reader:
            report: dict[str, Any] = json.loads(reader.json())
    except (c2pa.C2paError, ValueError):
        return Credentials("Invalid", None, None, None, None, ("unreadable",))
    manifest = report.get("manifests", {}).get(report.get("active_manifest"), {})
    signature = manifest.get("signature_info", {})
    generators = manifest.get("claim_generator_info") or [{}]
    named = [str(generators[0][part]) for part in ("name", "version") if part in generators[0]]
    return Credentials(
        state=report.get("validation_state", "Invalid"),
        issuer=signature.get("issuer"),
        signer=signature.get("common_name"),
        maker=" ".join(named) or None,
        digital_source_type=_source_type(manifest),
        problems=tuple(dict.fromkeys(one["code"] for one in report.get("validation_status", ()))),
    )


def sign_all(delivery: Delivery, signatory: Signatory | None) -> Delivery:
    """The same with every file signed; one that cannot be goes out all the same, with a warning."""
    if signatory is None:
        return delivery
    began = time.perf_counter()
    pictures = []
    for picture in delivery.pictures:
        file, failed = _try(File(picture.data, picture.media_type), signatory)
        warnings = (*picture.warnings, UNSIGNED) if failed else picture.warnings
        pictures.append(replace(picture, data=file.data, warnings=warnings))
    timings = {**delivery.timings_ms, "sign": round((time.perf_counter() - began) * 1e3, 2)}
    return replace(delivery, pictures=tuple(pictures), timings_ms=timings)


def sign_one(file: File, signatory: Signatory | None) -> File:
    """The same file signed, or as it is where that fails."""
    return file if signatory is None else _try(file, signatory)[0]


def _try(file: File, signatory: Signatory) -> tuple[File, bool]:
    """The file, and whether it could not be signed."""
    try:
        return replace(file, data=signatory.sign(file.data, file.media_type)), False
    except SigningFailed:
        log.exception("a file could not be signed")
        return file, True


def _source_type(manifest: Mapping[str, Any]) -> str | None:
    for assertion in manifest.get("assertions", ()):
        if assertion["label"].startswith("c2pa.actions"):
            for action in assertion["data"].get("actions", ()):
                if kind := action.get("digitalSourceType"):
                    return str(kind)
    return None


def _manifest(facts: Mapping[str, str]) -> dict[str, Any]:
    agent = {"name": facts["model"]} if "model" in facts else {"name": "Signboard"}
    if "revision" in facts:
        agent["version"] = facts["revision"]
    created = {
        "action": "c2pa.created",
        "digitalSourceType": SOURCE_TYPE,
        "softwareAgent": agent,
    }
    maker = {"name": "Signboard", "version": facts.get("signboard", "0")}
    return {
        "claim_generator_info": [maker],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}],
    }


def _probe() -> bytes:
    """The smallest picture there is."""
    file = io.BytesIO()
    Image.new("RGB", (1, 1)).save(file, "PNG")
    return file.getvalue()


@lru_cache
def _context() -> c2pa.Context:
    return c2pa.Context(c2pa.Settings.from_dict(_SETTINGS))


def _read(field: str, path: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"credentials.{field}: cannot be read: {error}") from None
