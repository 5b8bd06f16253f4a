"""Every metric tells a value of the state; names are unique and carry their units."""

from dataclasses import asdict
from pathlib import Path

from deployments.diffusion.engine.admission import IDLE_BEAT_S
from deployments.diffusion.memory.recovery import RECOVERY_STEPS
from deployments.diffusion.metrics import METRICS
from tests.polling import wait_until
from tests.tiny_checkpoint import tiny_profile
from tests.unit.diffusion.conftest import MakeEngine
from tests.unit.diffusion.requests import text_to_image


def test_every_metric_has_a_value(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    before = {metric.name: metric.values(asdict(engine.state())) for metric in METRICS}
    assert before["signboard_step_milliseconds"] == {}  # nothing has stepped yet
    assert before["signboard_recoveries_total"] == dict.fromkeys(RECOVERY_STEPS, 0)
    engine.submit("1", *text_to_image(num_inference_steps=3)).result(60)
    after = {metric.name: metric.values(asdict(engine.state())) for metric in METRICS}
    assert after["signboard_forwards_total"] == {None: 3.0}
    assert all(after.values())


def test_idling_is_counted_as_long_as_it_lasts(checkpoint: Path, make_engine: MakeEngine) -> None:
    engine = make_engine(tiny_profile(checkpoint))
    before = engine.state().idle_s
    wait_until(lambda: engine.state().idle_s > before, IDLE_BEAT_S + 30)
    assert engine.state().idle_s - before >= 0.9 * IDLE_BEAT_S


def test_names() -> None:
    names = [metric.name for metric in METRICS]
    assert len(set(names)) == len(names)
    for metric in METRICS:
        assert metric.name.startswith("signboard_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
