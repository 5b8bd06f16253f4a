"""What every family refuses, in the same words."""

from deployments.diffusion.params import GenerationParams
from deployments.errors import InvalidValue


def refuse_unread_negative(params: GenerationParams, guided: bool, above: float) -> None:
    """Raise InvalidValue("negative_prompt") where one is given that no forward would read."""
    if params.negative_prompt is not None and not guided:
        raise InvalidValue(
            "negative_prompt: it is read only with guidance; set guidance_scale above "
            f"{above:g} or leave it out",
            "negative_prompt",
            "negative_prompt_without_guidance",
        )


def refuse_long_prompt(tokens: int, most: int) -> None:
    """Raise InvalidValue("prompt") for more tokens than the model reads."""
    if tokens > most:
        raise InvalidValue(
            f"prompt: {tokens} tokens are more than the {most} that the model reads; shorten it",
            "prompt",
            "prompt_too_long",
        )


def refuse_no_step(params: GenerationParams, executed: int) -> None:
    """Raise InvalidValue("strength") when nothing would be drawn."""
    if executed == 0:
        raise InvalidValue(
            f"strength: {params.strength} runs no step of {params.num_inference_steps}; raise it",
            "strength",
            "strength_runs_no_step",
        )
