"""Teach the text encoder to read: `python -m training.second.train_text --minutes 15`.

From the features of a prompt's last token, which has seen all others, linear heads name what the
scene holds. Run it again with the same command to go on.
"""

from __future__ import annotations

import argparse
import os
import random

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from training.second.captions import caption_batch, draw_length
from training.second.chunks import RUN, Ending
from training.second.reading import Examination, answers, reading_loss, shares_right
from training.second.scenes import Mix, sample_scene
from training.second.vocabulary import make_second_tokenizer
from training.session import Session, device

FOLDER = RUN / "text"
BATCH = {32: 64, 64: 48, 256: 16}  # captions of each length
MIX = Mix(related=0.5)  # several items are harder to read than one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=15)
    arguments = parser.parse_args()
    ending = Ending(FOLDER)
    torch.manual_seed(0)
    tokenizer = make_second_tokenizer()
    model = Examination(len(tokenizer)).to(device())
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.98), weight_decay=0.0)
    session = Session(FOLDER, arguments.minutes, model, [optimiser], decay=0.99)
    rng = random.Random()
    while not session.finished and not ending:
        length = draw_length(rng)
        scenes = [sample_scene(rng, held_out=False, mix=MIX) for _ in range(BATCH[length])]
        tokens, known = caption_batch(tokenizer, scenes, rng, length)
        right = torch.tensor([answers(scene) for scene in scenes]).to(device())
        logits = model(tokens.to(device()), known.to(device()))
        session.advance(reading_loss(logits, right))
        if session.step % 100 == 0:
            shares = ", ".join(f"{q} {s:.2f}" for q, s in shares_right(logits, right).items())
            print(f"{session.step} {session.elapsed:.0f} s, {length}: {shares}", flush=True)
    session.save()


if __name__ == "__main__":
    main()
