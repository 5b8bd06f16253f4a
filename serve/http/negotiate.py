"""What the Accept header asks for: the JSON answer, or the bytes of one picture."""

FORMATS = {
    "image/png": "png",
    "image/jpeg": "jpeg",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/*": "any",
}
JSON = frozenset({"application/json", "application/*", "*/*"})


def picture_wanted(accept: str | None) -> str | None:
    """The format of the raw picture that `accept` prefers, "any" for image/*; None for JSON.

    Of equal weights the first one named wins, as RFC 9110 (12.5.1) leaves open.
    """
    best: tuple[float, str | None] = (0.0, None)
    for media_range in (accept or "").split(","):
        kind, _, parameters = media_range.partition(";")
        kind = kind.strip().lower()
        weight = _weight(parameters)
        if weight > best[0] and (kind in FORMATS or kind in JSON):
            best = (weight, FORMATS.get(kind))
    return best[1]


def _weight(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
