"""What of a model lives where, and what that leaves room for. Pure numbers.

`plan` chooses a residency: which of four reliefs the device needs so that the profile's work fits
its memory. Peaks are sums of named rows, each rounded up to whole MiB, that a reader can add up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from deployments.diffusion.memory.figures import Basis, Component, Demand, Figures, Role
from deployments.diffusion.profile import RELIEFS, Relief

MIB = 2**20
MAX_N = 8
ALLOCATOR_SLACK = Fraction(1, 10)  # of the working memory: what the allocator loses to fragments
STREAM_BUFFERS = 2  # one block computes while the next one arrives


class NothingFits(Exception):
    """Not even one picture of the default size fits the budget.

    least: bytes that would do, with every relief.
    """

    def __init__(self, budget: int, least: int, size: str) -> None:
        super().__init__(
            f"nothing fits {budget // MIB:,} MiB: one picture of {size} pixels takes at least "
            f"{least // MIB:,} MiB, with {RELIEFS[-1]}"
        )
        self.budget = budget
        self.least = least


@dataclass(frozen=True, slots=True)
class StagePeak:
    """What is on the device at a phase's peak, row by row."""

    name: str
    rows: Mapping[str, int]

    @property
    def peak(self) -> int:
        """Bytes: the sum of the rows."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class MemoryPlan:
    """What lives where under one budget, and what fits beside it. All sizes in bytes.

    residency: the strongest relief in force. reliefs: all in force; milder ones only where they
    help. device, host: weights by component, between phases. token_budget: of a forward.
    max_pixels: of the largest picture in one pass. hires_pixels: in two, 0 if there are none or
    they do not fit. whole_pixels: of the largest picture that the VAE takes whole; a larger one is
    decoded in tiles, and encoded in tiles if it is beyond max_pixels too. n: pictures of the
    default size that share a forward. complete: whether all that the profile wants fits.
    """

    budget: int
    residency: Relief
    reliefs: tuple[Relief, ...]
    device: Mapping[str, int]
    host: Mapping[str, int]
    phases: tuple[StagePeak, ...]
    token_budget: int
    max_pixels: int
    hires_pixels: int
    whole_pixels: int
    n: int
    complete: bool
    basis: Basis


def plan_memory(figures: Figures, demand: Demand, budget: int) -> MemoryPlan:
    """The best residency under which all that is wanted fits `budget` bytes.

    Everything resident and memory left: then more fits than is wanted, up to the model's largest
    picture and MAX_N of them a forward. Not even with all reliefs: then as much as fits. So more
    memory never gives a worse residency, nor a smaller picture, batch or token budget. Raises
    NothingFits when one picture of the default size does not fit.
    """
    room = _Room(figures, demand, budget)
    for reliefs in PREFERENCE:
        if room.fits(reliefs, room.wanted_tokens, demand.pixels) and room.fits_hires(reliefs):
            if reliefs:
                return room.plan(reliefs, room.wanted_tokens, demand.pixels)
            return room.fill(reliefs, room.wanted_tokens, room.most_tokens, demand.most_pixels)
    every = PREFERENCE[-1]
    if not room.fits(every, room.least_tokens, demand.default_pixels):
        peaks = room.phases(every, room.least_tokens, demand.default_pixels)
        raise NothingFits(budget, max(phase.peak for phase in peaks), demand.size)
    return room.fill(every, room.least_tokens, room.wanted_tokens, demand.pixels)


# Counted in binary, a relief is added only where all combinations of milder ones fall short.
PREFERENCE: tuple[tuple[Relief, ...], ...] = tuple(
    tuple(relief for bit, relief in enumerate(RELIEFS[1:]) if number >> bit & 1)
    for number in range(2 ** (len(RELIEFS) - 1))
)


class _Room:
    """What takes how much under which reliefs, and whether the budget holds it."""

    def __init__(self, figures: Figures, demand: Demand, budget: int) -> None:
        self.figures, self.demand, self.budget = figures, demand, budget
        alone = figures.picture_tokens.at
        self.least_tokens = self.tokens(demand.default_pixels)
        # A picture beyond the token budget would step alone, and take what was not planned.
        self.wanted_tokens = max(
            demand.tokens, self.tokens(demand.pixels), demand.n * alone(demand.default_pixels)
        )
        self.most_tokens = max(
            self.wanted_tokens, self.tokens(demand.most_pixels), MAX_N * alone(demand.most_pixels)
        )

    def tokens(self, pixels: int) -> int:
        """Tokens that one picture may bring into a forward."""
        own = self.figures.picture_tokens.at(pixels) + self.figures.brought_tokens.at(pixels)
        return own * (2 if self.demand.guided else 1)

    def fits(self, reliefs: tuple[Relief, ...], tokens: int, pixels: int) -> bool:
        return all(p.peak <= self.budget for p in self.phases(reliefs, tokens, pixels))

    def fits_hires(self, reliefs: tuple[Relief, ...]) -> bool:
        """Whether pictures in two passes fit too; true where there are none."""
        return all(p.peak <= self.budget for p in self.hires_phases(reliefs))

    def fill(
        self, reliefs: tuple[Relief, ...], tokens: int, most_tokens: int, most_pixels: int
    ) -> MemoryPlan:
        """As many tokens as fit, then as many pixels."""
        least = self.demand.default_pixels
        tokens = _largest(lambda t: self.fits(reliefs, t, least), tokens, most_tokens)
        pixels = _largest(
            lambda p: self.tokens(p) <= tokens and self.fits(reliefs, tokens, p), least, most_pixels
        )
        return self.plan(reliefs, tokens, pixels)

    def plan(self, reliefs: tuple[Relief, ...], tokens: int, pixels: int) -> MemoryPlan:
        places = {c.name: _place(c, reliefs) for c in self.figures.components}
        one = max(self.figures.picture_tokens.at(self.demand.default_pixels), 1)
        hires = self.fits_hires(reliefs)
        whole = self.whole_pixels(reliefs, max(pixels, self.demand.hires_pixels))
        return MemoryPlan(
            budget=self.budget,
            residency=reliefs[-1] if reliefs else "resident",
            reliefs=reliefs,
            device={name: place.between for name, place in places.items()},
            host={name: place.host for name, place in places.items()},
            phases=(
                *self.phases(reliefs, tokens, pixels, whole),
                *(self.hires_phases(reliefs) if hires else ()),
            ),
            token_budget=tokens,
            max_pixels=pixels,
            hires_pixels=self.demand.hires_pixels if hires else 0,
            whole_pixels=whole,
            n=min(MAX_N, max(tokens // one, 1)),
            complete=tokens >= self.wanted_tokens and pixels >= self.demand.pixels and hires,
            basis=self.figures.basis,
        )

    def phases(
        self, reliefs: tuple[Relief, ...], tokens: int, pixels: int, whole: int = 0
    ) -> tuple[StagePeak, ...]:
        """whole: pixels up to which the VAE decodes whole though `tiled_decode` is in force."""
        figures = self.figures
        return (
            self._phase("encode", reliefs, "text_encoder", figures.encode),
            self._phase("forward", reliefs, "denoiser", figures.forward.at(tokens)),
            self._decode("decode", reliefs, pixels, whole),
            self._phase("encode picture", reliefs, "vae", figures.encode_picture.at(pixels)),
        )

    def hires_phases(self, reliefs: tuple[Relief, ...]) -> tuple[StagePeak, ...]:
        """Of the second pass, which steps alone; its VAE works in tiles where it must."""
        pixels, figures = self.demand.hires_pixels, self.figures
        if not pixels:
            return ()
        forward = figures.forward.at(self.tokens(pixels))
        whole = figures.encode_picture.at(pixels)
        tiled = min(whole, figures.tiled_encode_picture.at(pixels))
        encodes = [self._phase("hires encode", reliefs, "vae", size) for size in (whole, tiled)]
        tiles: tuple[Relief, ...] = (*reliefs, "tiled_decode")
        decodes = [self._decode("hires decode", how, pixels) for how in (reliefs, tiles)]
        return (
            self._phase("hires forward", reliefs, "denoiser", forward),
            encodes[encodes[0].peak > self.budget],
            decodes[decodes[0].peak > self.budget],
        )

    def whole_pixels(self, reliefs: tuple[Relief, ...], most: int) -> int:
        """Of the largest picture up to `most` that the VAE takes whole; 0 if it takes none."""
        figures = self.figures

        def fits(pixels: int) -> bool:
            takes = max(figures.decode.at(pixels), figures.encode_picture.at(pixels))
            return self._phase("vae", reliefs, "vae", takes).peak <= self.budget

        return _largest(fits, 0, most)

    def _decode(
        self, name: str, reliefs: tuple[Relief, ...], pixels: int, whole: int = 0
    ) -> StagePeak:
        working = self.figures.decode.at(pixels)
        if "tiled_decode" in reliefs:
            smaller = self.figures.decode.at(min(whole, pixels)) if whole else 0
            working = max(smaller, min(working, self.figures.tiled_decode.at(pixels)))
        return self._phase(name, reliefs, "vae", working)

    def _phase(self, name: str, reliefs: tuple[Relief, ...], role: Role, working: int) -> StagePeak:
        return StagePeak(name, self._rows(reliefs, role, working))

    def _rows(self, reliefs: tuple[Relief, ...], role: Role, working: int) -> dict[str, int]:
        rows = {}
        for component in self.figures.components:
            place = _place(component, reliefs)
            rows[component.name] = place.running if component.role == role else place.between
        rows |= self.figures.kept
        rows["working memory"] = working
        rows["allocator slack"] = -(-ALLOCATOR_SLACK * working // 1)
        return {name: _whole_mib(size) for name, size in rows.items()}


@dataclass(frozen=True, slots=True)
class _Place:
    """Bytes of one component: while its phase runs, between its phases, on the host."""

    running: int
    between: int
    host: int


def _place(component: Component, reliefs: tuple[Relief, ...]) -> _Place:
    storages = [component.loaded]
    if "fp8_storage" in reliefs:
        storages.append(component.fp8)
    places = [_Place(storage.bytes, storage.bytes, 0) for storage in storages]
    if "streamed_blocks" in reliefs and component.role == "denoiser":
        for storage in storages:
            held = storage.bytes - storage.blocks + STREAM_BUFFERS * storage.largest_block
            places.append(_Place(held, held, storage.blocks))
    best = min(places, key=lambda place: place.running)
    if "text_encoder_on_host" in reliefs and component.role == "text_encoder":
        return _Place(best.running, 0, best.running)
    return best


def _largest(fits: Callable[[int], bool], low: int, high: int) -> int:
    """The largest count up to `high` that fits; `low` is known to."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _whole_mib(size: int) -> int:
    return -(-size // MIB) * MIB
