"""OpenAI's image routes over diffusers' pipelines and one lock, as most people write them;
alone of the baselines it knows uvicorn.

    python -m benchmarks.baselines.lock_server --port 8001 --threads 2

Three pipelines share their components. Handlers run in FastAPI's thread pool; what needs the model
waits for the lock, what does not (uploads, PNG, base64) goes on beside it.
"""

import argparse
import threading
from typing import Annotated, Any

import torch
import uvicorn
from fastapi import FastAPI, Form

from benchmarks.baselines import pipelines
from benchmarks.baselines.asking import Asked, EditForm, Fields, answer, call, edit
from deployments.diffusion.profile import EMBEDDED_MODEL


def create_app(made: pipelines.Pipelines) -> FastAPI:
    """The two routes over the pipelines."""
    app, lock = FastAPI(), threading.Lock()

    def draw(asked: Asked) -> dict[str, Any]:
        with lock, torch.inference_mode():
            picture = made[asked.kind](**call([asked])).images[0]
        return answer(picture)

    @app.get("/health")
    def health() -> None: ...

    @app.post("/v1/images/generations")
    def generations(body: Fields) -> dict[str, Any]:
        return draw(Asked("t2i", body))

    @app.post("/v1/images/edits")
    def edits(form: Annotated[EditForm, Form()]) -> dict[str, Any]:
        return draw(edit(form))

    return app


def main() -> None:
    """Serve the embedded model until Ctrl-C."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--threads", type=int, required=True, help="of the model")
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    made = pipelines.handed_over(EMBEDDED_MODEL, torch.float32)
    uvicorn.run(create_app(made), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
