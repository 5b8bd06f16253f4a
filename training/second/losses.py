"""What the whole autoencoder is trained to get right: pixels, and above all edges."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from training.train_vae import gradients

EDGES, CURVATURE = 2.0, 0.5  # weights beside that of the pixels


def crisp_loss(redrawn: Tensor, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """How far a redrawn batch (n, 3, height, width) is from the pictures, and its squared error.

    A soft edge and a crisp one differ little in pixels, more in their slope and most in how the
    slope changes.
    """
    error = functional.mse_loss(redrawn, pictures)
    loss = functional.l1_loss(redrawn, pictures) + error
    for dim, ours, theirs in zip((-1, -2), gradients(redrawn), gradients(pictures), strict=True):
        loss = loss + EDGES * functional.l1_loss(ours, theirs)
        loss = loss + CURVATURE * functional.l1_loss(ours.diff(dim=dim), theirs.diff(dim=dim))
    return loss, error.detach()
