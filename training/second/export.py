"""Assemble the latest weights as a pipeline: `... export --target training/run2/model`.

Stored in half precision in the layout of `ZImagePipeline.save_pretrained`. It writes over the
shipped model only where told to.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline

from training.export import export
from training.models import make_scheduler
from training.second.chunks import RUN
from training.second.models import TEXT_LAYERS, make_text_encoder, make_transformer
from training.second.vocabulary import make_second_tokenizer


def assemble() -> ZImagePipeline:
    """The averaged weights of the latest checkpoints, in float32."""
    path = RUN / "transformer" / "checkpoint.pt"
    saved = torch.load(path, map_location="cpu", weights_only=True)["average"]
    tokenizer = make_second_tokenizer()
    transformer, text_encoder = make_transformer(), make_text_encoder(len(tokenizer))
    for name, weight in text_encoder.named_parameters():
        if f"layers.{TEXT_LAYERS - 1}." in name:
            torch.nn.init.zeros_(weight)  # never read, see make_text_encoder
    for prefix, module in (("transformer.", transformer), ("text.", text_encoder)):
        weights = {
            name.removeprefix(prefix): weight
            for name, weight in saved.items()
            if name.startswith(prefix)
        }
        absent = module.load_state_dict(weights, strict=False)
        if absent.unexpected_keys:
            raise ValueError(f"the checkpoint has weights of another model: {absent}")
    sharpened = RUN / "decoder" / "model"
    vae = AutoencoderKL.from_pretrained(sharpened if sharpened.exists() else RUN / "vae" / "model")
    vae.register_to_config(_name_or_path="")  # the folder it came from is nobody's business
    return ZImagePipeline(
        scheduler=make_scheduler(),
        vae=vae.eval(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=RUN / "model")
    target = parser.parse_args().target
    size = export(assemble(), target)
    print(f"{size / 1e6:.2f} MB in {target}")


if __name__ == "__main__":
    main()
