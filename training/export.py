"""Put a trained model where the application loads it: `python -m training.export`.

Stored in half precision in the layout of `ZImagePipeline.save_pretrained`, file by file in place,
so that a reader never meets half a file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline

from training.models import make_scheduler, make_text_encoder, make_transformer
from training.session import SHIPPED
from training.tokenizer import make_tokenizer

RUNS = Path(__file__).with_name("runs")
TARGET = SHIPPED


def finished_vae() -> AutoencoderKL:
    """The autoencoder, with the sharpened decoder where there is one."""
    vae = AutoencoderKL.from_pretrained(RUNS / "vae" / "model").eval()
    sharpened = RUNS / "decoder" / "checkpoint.pt"
    if sharpened.exists():
        saved = torch.load(sharpened, map_location="cpu", weights_only=True)
        vae.decoder.load_state_dict(saved["average"])
    vae.register_to_config(_name_or_path="")  # the folder it came from is nobody's business
    return vae


def assemble() -> ZImagePipeline:
    """The averaged weights of the latest checkpoint as a pipeline, in float32."""
    saved = torch.load(
        RUNS / "transformer" / "checkpoint.pt", map_location="cpu", weights_only=True
    )["average"]
    tokenizer = make_tokenizer()
    transformer, text_encoder = make_transformer(), make_text_encoder(len(tokenizer))
    for name, weight in text_encoder.named_parameters():
        if f"layers.{len(text_encoder.layers) - 1}." in name:
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
    return ZImagePipeline(
        scheduler=make_scheduler(),
        vae=finished_vae(),
        text_encoder=text_encoder.eval(),
        tokenizer=tokenizer,
        transformer=transformer.eval(),
    )


def export(pipeline: ZImagePipeline, target: Path) -> int:
    """Write the pipeline in half precision; returns the bytes of all its files."""
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=target.parent, prefix=".export-"))
    try:
        pipeline.to(torch.float16).save_pretrained(staging)
        files = [path for path in staging.rglob("*") if path.is_file()]
        for path in files:
            final = target / path.relative_to(staging)
            final.parent.mkdir(parents=True, exist_ok=True)
            path.chmod(0o644)  # safetensors writes 0600, which other users' containers cannot read
            os.replace(path, final)
    finally:
        shutil.rmtree(staging)
    return sum(path.stat().st_size for path in target.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--target", type=Path, default=TARGET)
    target = parser.parse_args().target
    size = export(assemble(), target)
    print(f"{size / 1e6:.2f} MB in {target}")


if __name__ == "__main__":
    main()
