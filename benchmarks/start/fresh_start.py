"""The engine made ready in this process, a fresh one: seconds of each part, printed as JSON.

    python -m benchmarks.start.fresh_start PROFILE BEGAN

PROFILE: its file. BEGAN: `time.time()` when this process was asked for.
"""

import importlib
import json
import sys
import time
from functools import partial
from pathlib import Path

from benchmarks.harness import watch
from deployments.diffusion.start import StartTimes, in_one_go

READY_WITHIN_S = 120.0
LIBRARIES = {
    "torch": ("torch",),
    "transformers": ("transformers.models.qwen3.modeling_qwen3",),
    "diffusers": (
        "diffusers.pipelines.pipeline_utils",
        "diffusers.models.transformers.transformer_z_image",
        "diffusers.models.autoencoders.autoencoder_kl",
    ),
    "our code": ("deployments.diffusion.engine.engine", "benchmarks.harness.engines"),
}


def start(file: Path, began: float) -> dict[str, float]:
    """Seconds by part, in the order of a start, from `began` until requests are taken."""
    interpreter = time.time() - began
    phases = StartTimes()
    with in_one_go():
        for name, modules in LIBRARIES.items():
            for module in modules:
                importlib.import_module(module)
            phases.end(name)
    from deployments.diffusion.engine import Engine
    from deployments.diffusion.families import load_family
    from deployments.diffusion.weights import components
    from serve.profiles import load_profile

    profile = load_profile(str(file))
    phases.end("profile")
    with watch({"weights": [(components, "load_mapped")]}, time.perf_counter) as watched:
        engine = Engine(profile, partial(load_family, profile))
        engine.wait_until_ready(READY_WITHIN_S)
    whole = time.time() - began
    phases_s = engine.state().start_s
    engine.close()
    weights = watched.spent["weights"]
    parts = {
        "interpreter": interpreter,
        **phases.seconds,
        "memory plan": phases_s["plan"],
        "weights": weights,
        "tokenizer, configs": phases_s["weights"] - weights,
        "placement": phases_s["placement"],
        "warm-up": phases_s["warm_up"],
    }
    return {**parts, "the rest": whole - sum(parts.values())}


if __name__ == "__main__":
    print(json.dumps(start(Path(sys.argv[1]), float(sys.argv[2]))))
