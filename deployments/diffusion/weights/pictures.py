"""What makes pictures into what a text encoder sees, held against that encoder."""

from transformers import BaseImageProcessor

from deployments.diffusion.weights.survey import OWN_FILES, Survey
from deployments.diffusion.weights.unavailable import Wrong

SHARED = {
    "patch_size": "patch_size",
    "merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
}
"""Settings of a processor, and what the vision part of its encoder's config calls them."""


def load_processor(survey: Survey, name: str) -> BaseImageProcessor:
    """One of the surveyed folder's. Nothing is imported but the class that the family names.

    Raises Fault where it is not there, cannot be read, or cuts pictures otherwise than its encoder.
    """
    survey.require_processor(name)
    folder, kind = survey.folder / name, survey.composition.processors[name]
    try:
        processor: BaseImageProcessor = kind.kind.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # whatever the library says of values that it does not know
        raise Wrong(name, "cannot be read", OWN_FILES, folder, detail=repr(error)) from error
    sees = survey.configs[kind.encoder].get("vision_config", {})
    for entry, theirs in SHARED.items():
        cuts, wanted = processor.to_dict().get(entry), sees.get(theirs)
        if wanted is not None and cuts != wanted:
            what = f"has {entry} {cuts}, and its {kind.encoder} sees {wanted}"
            raise Wrong(name, what, OWN_FILES, folder)
    return processor
