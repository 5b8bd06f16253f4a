"""Train transformer and text encoder: `... train_transformer --minutes 240`.

Needs `train_text` and the latents of `encode_latents`. Run it again with the same command to go on.
The target is the velocity from noise to picture (Lipman et al. 2022), the noise levels those of the
first model.
"""

from __future__ import annotations

import argparse
import os
import random
from collections import deque

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from diffusers import ZImageTransformer2DModel
from torch import Tensor, nn
from torch.nn import functional

from training.forward import Layout, use_real_attention, velocity
from training.second.chunks import RUN, Ending
from training.second.data import Batch, Data
from training.second.models import make_transformer
from training.second.reading import Heads, make_reader, reading_loss
from training.session import Session, computes_bfloat16, device, in_bfloat16
from training.train_transformer import initialise, make_optimisers, sigmas

FOLDER = RUN / "transformer"
TEXT = RUN / "text" / "checkpoint.pt"
READING_WEIGHT = 0.02
RESCAN_STEPS = 200  # how often new latents are looked for


class Model(nn.Module):
    """Transformer and text encoder as one, without the text encoder's unread last layer.

    The heads keep the text encoder reading while it learns to serve the transformer.
    """

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.transformer = make_transformer()
        self.text = make_reader(vocabulary)
        self.heads = Heads()
        initialise(self.transformer)
        use_real_attention(self.transformer)

    @property
    def dtype(self) -> torch.dtype:
        """Of the transformer's weights."""
        weight: Tensor = self.transformer.x_pad_token
        return weight.dtype

    def load_reader(self) -> None:
        """Start from the text encoder of `train_text`."""
        saved = torch.load(TEXT, map_location="cpu", weights_only=True)["average"]
        loaded = self.load_state_dict(saved, strict=False)
        assert not loaded.unexpected_keys

    def forward(
        self, patches: Tensor, time: Tensor, tokens: Tensor, known: Tensor, layout: Layout
    ) -> tuple[Tensor, list[Tensor]]:
        """The velocity as patches, and the logits of the reading."""
        return self._compiled(patches, time, tokens, known, layout.blank, layout.angles)

    @torch.compile(dynamic=False)
    def _compiled(
        self,
        patches: Tensor,
        time: Tensor,
        tokens: Tensor,
        known: Tensor,
        blank: Tensor,
        angles: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, list[Tensor]]:
        captions = self.text(input_ids=tokens).last_hidden_state
        predicted = velocity(self.transformer, patches, time, captions, known, blank, angles)
        return predicted, self.heads(captions, known)


class Layouts(dict[tuple[int, int, int], Layout]):
    """The layout of each (height, width) of latents and length of captions, made when asked for."""

    def __init__(self, transformer: ZImageTransformer2DModel) -> None:
        self.transformer = transformer

    def __missing__(self, size: tuple[int, int, int]) -> Layout:
        self[size] = Layout(self.transformer, *size)
        return self[size]


def loss_of(model: Model, batch: Batch, layouts: Layouts) -> tuple[Tensor, Tensor]:
    """What is minimised, and the error of the velocity alone."""
    sigma = sigmas(batch.loose)
    noise = torch.randn_like(batch.clean)
    wide = sigma[:, None, None, None]
    height, width = batch.clean.shape[-2:]
    layout = layouts[height, width, batch.tokens.shape[1]]
    noisy = layout.patches((1 - wide) * batch.clean + wide * noise)
    here = device()
    inputs = (noisy.to(model.dtype), 1 - sigma, batch.tokens, batch.known)
    predicted, logits = model(*(tensor.to(here) for tensor in inputs), layout)
    target = (batch.clean - noise).to(here)
    error = functional.mse_loss(layout.latents(predicted.float()), target)
    reading = reading_loss(logits, batch.answers.to(here))
    return error + READING_WEIGHT * reading, error.detach()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=240)
    arguments = parser.parse_args()
    ending = Ending(FOLDER)
    torch._dynamo.config.cache_size_limit = 32
    seed = random.SystemRandom().randrange(2**32)  # a run that goes on draws anew
    torch.manual_seed(0)
    data = Data(seed)
    model = Model(len(data.tokenizer)).to(device())
    model.load_reader()
    torch.manual_seed(seed)
    worker = in_bfloat16(model) if computes_bfloat16() else model
    optimisers = make_optimisers(model)
    session = Session(FOLDER, arguments.minutes, model, optimisers, decay=0.999, worker=worker)
    layouts = Layouts(model.transformer)
    errors: deque[float] = deque(maxlen=100)
    while not session.finished and not ending:
        loss, error = loss_of(worker, data.batch(), layouts)
        session.advance(loss)
        errors.append(error.item())
        if session.step % 50 == 0:
            mean = sum(errors) / len(errors)
            reading = (loss - error).item() / READING_WEIGHT
            told = f"error {mean:.4f}, reading {reading:.3f}"
            print(f"{session.step} {session.elapsed:.0f} s, {told}", flush=True)
        if session.step % RESCAN_STEPS == 0:
            data.scan()
    session.save()


if __name__ == "__main__":
    main()
