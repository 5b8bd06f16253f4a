"""Which relief helps where, on a model of round numbers."""

from dataclasses import replace
from fractions import Fraction

import pytest

from deployments.diffusion.memory.figures import Component, Demand, Figures, Line, Weights
from deployments.diffusion.memory.plan import MIB, MemoryPlan, NothingFits, plan_memory

PIXELS = 1000
FIGURES = Figures(
    components=(
        Component("text", "text_encoder", Weights(400 * MIB), Weights(200 * MIB)),
        Component(
            "net",
            "denoiser",
            Weights(1000 * MIB, 900 * MIB, 90 * MIB),
            Weights(550 * MIB, 450 * MIB, 45 * MIB),
        ),
        Component("vae", "vae", Weights(10 * MIB), Weights(10 * MIB)),
    ),
    encode=20 * MIB,
    forward=Line(Fraction(0), Fraction(MIB)),
    decode=Line(Fraction(0), Fraction(MIB, 5)),
    tiled_decode=Line(Fraction(50 * MIB), Fraction(0)),
    encode_picture=Line(Fraction(0), Fraction(MIB, 10)),
    tiled_encode_picture=Line(Fraction(25 * MIB), Fraction(0)),
    picture_tokens=Line(Fraction(0), Fraction(1, 10)),
    kept={"context": 30 * MIB},
    dropped=0,
    basis="computed",
)
DEMAND = Demand(
    size="20x50",
    default_pixels=PIXELS,
    pixels=PIXELS,
    hires_pixels=0,
    most_pixels=4 * PIXELS,
    tokens=100,
    n=1,
    guided=False,
)


def at(mib: int, figures: Figures = FIGURES, demand: Demand = DEMAND) -> MemoryPlan:
    return plan_memory(figures, demand, mib * MIB)


def test_the_rows_of_a_phase_add_up() -> None:
    made = at(1700)

    decode = {phase.name: phase for phase in made.phases}["decode"]

    assert made.residency == "resident"
    assert decode.rows == {
        "text": 400 * MIB,
        "net": 1000 * MIB,
        "vae": 10 * MIB,
        "context": 30 * MIB,
        "working memory": decode.rows["working memory"],
        "allocator slack": decode.rows["allocator slack"],
    }
    assert decode.peak == sum(decode.rows.values()) <= 1700 * MIB


@pytest.mark.parametrize(
    ("mib", "reliefs"),
    [
        # all at the decode: 400 + 1000 + 10 + 30 + 200 + 20
        (1660, ()),
        (1659, ("tiled_decode",)),
        # now the forward is what takes most: 1440 + 100 + 10
        (1550, ("tiled_decode",)),
        # the encode: 1440 + 20 + 2; the decode without the text encoder: 1260, no tiles needed
        (1549, ("text_encoder_on_host",)),
        (1462, ("text_encoder_on_host",)),
        # the decode with all in fp8: 200 + 550 + 10 + 30 + 220
        (1461, ("fp8_storage",)),
        (1010, ("fp8_storage",)),
        (1009, ("tiled_decode", "fp8_storage")),
    ],
)
def test_reliefs_come_where_they_help(mib: int, reliefs: tuple[str, ...]) -> None:
    assert at(mib).reliefs == reliefs


def test_under_tiles_what_fits_is_taken_whole() -> None:
    made = at(1659)  # 1 MiB less than a picture of 1000 pixels takes whole

    assert made.reliefs == ("tiled_decode",)
    assert made.whole_pixels == 995  # (1659 - 1440) / 1.1, at 0.2 MiB a pixel
    assert {phase.name: phase.peak for phase in made.phases}["decode"] <= 1659 * MIB


def test_what_moves_to_the_host_is_counted_there() -> None:
    moved = at(1500)

    assert (moved.device["text"], moved.host["text"]) == (0, 400 * MIB)
    assert {p.name: p.rows["text"] // MIB for p in moved.phases} == {
        "encode": 400,
        "forward": 0,
        "decode": 0,
        "encode picture": 0,
    }


def test_streamed_blocks_leave_two_of_them_on_the_device() -> None:
    streamed = at(500)

    assert streamed.residency == "streamed_blocks"
    in_fp8 = "fp8_storage" in streamed.reliefs
    assert streamed.device["net"] == (550 - 450 + 90 if in_fp8 else 1000 - 900 + 180) * MIB
    assert streamed.host["net"] == (450 if in_fp8 else 900) * MIB


def test_memory_that_is_left_makes_batches_and_pictures_larger() -> None:
    made = at(2000)

    assert made.complete
    assert made.token_budget == 509  # (2000 - 1440) / 1.1
    assert made.max_pixels == 2545  # the same room, at 0.2 MiB a pixel
    assert made.n == 5


def test_a_larger_picture_needs_a_forward_that_takes_it() -> None:
    narrow = replace(FIGURES, decode=Line(Fraction(0), Fraction(1)))

    made = at(1700, narrow, replace(DEMAND, guided=True))

    assert made.max_pixels * 2 // 10 <= made.token_budget


def test_guidance_counts_twice() -> None:
    assert at(500).n == 1
    made = at(1600, demand=replace(DEMAND, guided=True))
    assert (made.token_budget, made.n) == (200, 2)


def test_with_too_little_less_is_promised() -> None:
    greedy = replace(DEMAND, tokens=600, n=6)

    made = at(460, demand=greedy)

    assert not made.complete
    assert made.residency == "streamed_blocks"
    assert 100 <= made.token_budget < 600


def test_nothing_fits_says_what_would() -> None:
    with pytest.raises(
        NothingFits, match=r"one picture of 20x50 pixels takes at least 452 MiB"
    ) as e:
        at(100)

    assert e.value.least == 452 * MIB
    assert at(452).residency == "streamed_blocks"
