"""The application's arguments, typed and strict."""

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, field_validator

from configs import BRANDS
from deployments.postprocess import intake
from deployments.postprocess.design import Brand, load_brands
from deployments.postprocess.files import CredentialFiles, Signatory
from deployments.postprocess.intake import IntakeLimits, SegmentationModel
from deployments.postprocess.library import open_address
from deployments.postprocess.typesetting import choices, read_own

MIB = 2**20
GIB = 2**30
ORIGIN = r"^(\*|https?://[^/?#@*\s]+)$"


class AppArgs(BaseModel):
    """What `args:` of the Serve config may hold.

    profile: the name of a packaged profile, or the path of a YAML file.
    max_upload_bytes: of one uploaded file. max_pixels: of one uploaded picture; a decoder takes up
    to 18 bytes for each.
    request_timeout_s: seconds after which a request is given up, waiting included.
    library: where pictures are kept: a folder by its absolute path, or a URL that fsspec knows,
    the same for all replicas; None keeps nothing. library_bytes: at most; the oldest go first.
    prompt_in_files: whether files may tell how their pictures were described.
    credentials: what files are signed with (C2PA); by paths that every machine has.
    brands: a folder of brand kits, beside the packaged ones.
    operator_routes: whether what only operators should ask is answered over HTTP too: the audit of
    weights, which walks all memory of the process that draws; adding and removing styles.
    added_styles: a folder by its absolute path, the same on every machine, where styles are kept
    that are added while it runs; None takes none.
    fonts: a folder of fonts of your own, the same on every machine; None takes the packaged alone.
    segmentation_model: what cuts products out of photographs; None leaves it to OpenCV's own ways.
    public_url: the address by which clients reach the application, which the URLs of pictures begin
    with. trusted_proxies: networks whose proxies may say it instead, request by request.
    cors_origins: pages' origins whose scripts may ask; "*" is any, without credentials.
    aliases: other names that the served model answers to, as clients have them built in.
    nearest_sizes: whether a size that the profile cannot draw is drawn at the nearest shape and
    brought to that size with a warning, instead of being refused.
    unknown_fields: what becomes of a field that nobody knows: the request is refused, or it is
    left unread with a warning.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: str = "embedded"
    max_upload_bytes: int = Field(default=20 * MIB, gt=0)
    max_pixels: int = Field(default=25_000_000, gt=0)
    request_timeout_s: float = Field(default=300.0, gt=0)
    library: str | None = "~/.local/share/signboard/library"
    library_bytes: int = Field(default=10 * GIB, gt=0)
    prompt_in_files: bool = True
    credentials: CredentialFiles | None = None
    brands: Path | None = None
    fonts: str | None = None
    segmentation_model: SegmentationModel | None = None
    operator_routes: bool = False
    added_styles: str | None = None
    public_url: str | None = None
    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    cors_origins: tuple[Annotated[str, Field(pattern=ORIGIN)], ...] = ()
    aliases: tuple[Annotated[str, Field(min_length=1, max_length=256)], ...] = ()
    nearest_sizes: bool = False
    unknown_fields: Literal["refuse", "warn"] = "refuse"

    @property
    def intake_limits(self) -> IntakeLimits:
        """What one uploaded file, or a brand's logo, may hold."""
        return IntakeLimits(max_bytes=self.max_upload_bytes, max_pixels=self.max_pixels)

    @field_validator("brands")
    @classmethod
    def _is_a_folder(cls, brands: Path | None) -> Path | None:
        folder = brands and brands.expanduser()
        if folder is not None and not folder.is_dir():
            raise ValueError(f"brands: there is no folder {folder}")
        return folder

    @field_validator("public_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        if url is not None:
            parts = urlsplit(url)
            rest = parts.query or parts.fragment or "@" in parts.netloc
            if parts.scheme not in ("http", "https") or not parts.hostname or rest:
                raise ValueError(f"public_url: give https://HOST or https://HOST/PATH, not {url!r}")
        return url

    @field_validator("library")
    @classmethod
    def _can_be_opened(cls, library: str | None) -> str | None:
        if library is not None:
            open_address(library)
        return library

    @field_validator("added_styles")
    @classmethod
    def _is_absolute(cls, folder: str | None) -> str | None:
        if folder is not None and not Path(folder).expanduser().is_absolute():
            raise ValueError(f"added_styles: give an absolute path, not {folder!r}")
        return folder

    @field_validator("fonts")
    @classmethod
    def _can_be_read(cls, fonts: str | None) -> str | None:
        if fonts is not None:
            read_own(fonts)
        return fonts

    @field_validator("credentials")
    @classmethod
    def _can_sign(cls, credentials: CredentialFiles | None) -> CredentialFiles | None:
        if credentials is not None:
            Signatory(credentials)
        return credentials

    @field_validator("segmentation_model")
    @classmethod
    def _can_segment(cls, model: SegmentationModel | None) -> SegmentationModel | None:
        if model is not None:
            intake.Segmenter(model)  # which needs OpenCV: loaded where it is asked for alone
        return model


def find_brands(args: AppArgs) -> dict[str, Brand]:
    """The packaged brand kits and those of `args`, by name; one of the same name wins.

    Raises ValueError naming the file that is not sound, its logo included, or the brand whose font
    is not there.
    """
    folders = (BRANDS,) if args.brands is None else (BRANDS, args.brands)
    brands = load_brands(folders, args.intake_limits)
    own = read_own(args.fonts) if args.fonts is not None else ()
    known = ("auto", *choices(), *(face.family for face in own))
    for name, brand in brands.items():
        for font in (brand.faces.headline, brand.faces.text):
            if font not in known:
                raise ValueError(f"brand {name}: there is no font {font!r}")
    return brands
