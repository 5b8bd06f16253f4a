"""What a card has free, and the allocator held to what the profile may take of it."""

import logging

import pytest
import torch

from deployments.diffusion.families.load import FAMILIES
from deployments.diffusion.memory.card import CUDA_CONTEXT, hold_to, room_on
from deployments.diffusion.memory.profile_plan import start_plan
from deployments.diffusion.profile import ModelSource
from tests.unit.diffusion.conftest import ProfileOf

GIB = 2**30
L4 = int(22.03 * GIB)


class Card:
    """What torch tells of a card, and what it is told."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.others = 0  # bytes that other processes hold
        self.context = CUDA_CONTEXT // 2
        self.reserved = 0  # by this process's allocator
        self.has_bfloat16 = True
        self.fractions: list[float] = []

    def mem_get_info(self, device: torch.device) -> tuple[int, int]:
        free = self.total - self.others - self.context - self.reserved
        return max(free, 0), self.total

    def memory_reserved(self, device: torch.device) -> int:
        return self.reserved

    def is_bf16_supported(self, including_emulation: bool) -> bool:
        return including_emulation or self.has_bfloat16

    def set_per_process_memory_fraction(self, fraction: float, device: torch.device) -> None:
        assert 0 < fraction <= 1
        self.fractions.append(fraction)


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> Card:
    """torch, told that there is an L4."""
    simulated = Card(L4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    for name in (
        "mem_get_info",
        "memory_reserved",
        "is_bf16_supported",
        "set_per_process_memory_fraction",
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(simulated, name))
    return simulated


def source(budget: str | None = None, device: str = "cuda", dtype: str = "bfloat16") -> ModelSource:
    return ModelSource.model_validate(
        {"source": "./model", "dtype": dtype, "device": device, "memory_budget": budget}
    )


def test_an_empty_card_is_planned_for_whole(card: Card) -> None:
    assert room_on(source()) == L4
    assert room_on(source(device="auto")) == L4


def test_what_others_hold_is_not_planned_for(card: Card) -> None:
    card.others = 6 * GIB

    room = room_on(source())

    assert room is not None
    assert L4 - 6 * GIB <= room <= L4 - 6 * GIB + CUDA_CONTEXT


def test_what_this_process_holds_from_before_is(card: Card) -> None:
    card.reserved = 10 * GIB

    assert room_on(source()) == L4


def test_a_budget_above_the_card_is_capped_and_told(
    card: Card, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert room_on(source("22.5GiB")) == L4
    assert "model.memory_budget: 23,040 MiB are more than the 22,558 MiB" in caplog.text


def test_a_budget_below_the_card_holds(card: Card) -> None:
    assert room_on(source("22GiB")) == 22 * GIB


def test_on_a_cpu_the_budget_alone_counts() -> None:
    assert room_on(source("1GiB", "cpu")) == GIB
    assert room_on(source(None, "cpu")) is None


def test_the_allocator_is_held_to_the_budget(card: Card) -> None:
    hold_to(source("16GiB"), 16 * GIB)

    assert card.fractions == [pytest.approx((16 * GIB - CUDA_CONTEXT) / L4)]


def test_without_a_budget_and_on_a_cpu_it_is_left_alone(card: Card) -> None:
    hold_to(source(), L4)
    hold_to(source("1GiB", "cpu"), GIB)

    assert card.fractions == []


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_card_without_bfloat16_is_told_what_suits_it(
    card: Card, caplog: pytest.LogCaptureFixture, dtype: str
) -> None:
    card.has_bfloat16 = False
    with caplog.at_level(logging.WARNING):
        room_on(source(dtype=dtype))
    assert ("float16 is faster here" in caplog.text) == (dtype == "bfloat16")


@pytest.mark.parametrize("device", ["cuda", "auto"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_a_plan_on_a_card(
    card: Card, profiles: ProfileOf, family: str, device: str
) -> None:
    profile = profiles[family]()
    model = profile.model.model_copy(update={"device": device})

    plan = start_plan(profile.model_copy(update={"model": model}))

    assert plan is not None
    assert (plan.residency, plan.complete, plan.budget) == ("resident", True, L4)
    assert plan.phases[0].rows["CUDA context"] == CUDA_CONTEXT
