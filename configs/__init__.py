"""Packaged profiles, one YAML file a model and hardware; brand kits; the Serve config."""

from pathlib import Path

FOLDER = Path(__file__).parent
SERVE_CONFIG = FOLDER / "serve_config.yaml"
BRANDS = FOLDER / "brands"


def profile_names() -> tuple[str, ...]:
    """The packaged profiles by name."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.yaml") if path != SERVE_CONFIG))


def profile_path(name: str) -> Path:
    """The file of a packaged profile. Raises ValueError naming the ones there are."""
    if name not in profile_names():
        raise ValueError(f"profile: {name!r} is not one of {', '.join(profile_names())}")
    return FOLDER / f"{name}.yaml"
