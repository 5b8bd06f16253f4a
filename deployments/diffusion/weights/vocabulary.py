"""Tokenizers with their vocabularies: one that knows no words would read every prompt alike.

transformers makes a tokenizer even of a folder without a vocabulary. SentencePiece files are read
by way of their protobuf, which takes no package of SentencePiece's own. Beside a tokenizer there
may be a processor, by which a text encoder sees pictures: it is held against that encoder, too.
"""

from pathlib import Path
from typing import Any

import transformers
from transformers import BaseImageProcessor, PreTrainedTokenizerBase, T5Tokenizer
from transformers.convert_slow_tokenizer import T5Converter, import_protobuf

from deployments.diffusion.weights.survey import OWN_FILES, Survey
from deployments.diffusion.weights.unavailable import Wrong

PROBE = "red"
FEW = 1000  # tokens; those of a real vocabulary take a while to be listed
SPACE = "▁"  # SentencePiece's, which a T5 tokenizer without a vocabulary knows by itself

SHARED = {
    "patch_size": "patch_size",
    "merge_size": "spatial_merge_size",
    "temporal_patch_size": "temporal_patch_size",
}
"""Settings of a processor, and what the vision part of its encoder's config calls them."""


def load_tokenizer(survey: Survey, name: str) -> PreTrainedTokenizerBase:
    """One of the surveyed folder's tokenizers, whose vocabulary is its text encoder's.

    Raises Fault where its files are not there, cannot be read, know no words, more tokens than the
    encoder, or have a chat template that leaves the prompt out.
    """
    survey.require_tokenizer(name)
    folder, composition = survey.folder / name, survey.composition
    vocabulary = composition.tokenizers[name]
    try:
        tokenizer = read_tokenizer(getattr(transformers, survey.index[name][1]), folder)
        tokenizer(PROBE)
        core = type(tokenizer.backend_tokenizer.model).__name__
        said = [{"role": "user", "content": PROBE}]
        chat = composition.chat and tokenizer.apply_chat_template(said, tokenize=False)
    except Exception as error:  # what reads them in Rust, protobuf and Jinja raises bare ones
        raise Wrong(name, "cannot be read", OWN_FILES, folder, detail=repr(error)) from error
    if chat is not False and PROBE not in chat:
        raise Wrong(name, "has a chat template that leaves the prompt out", OWN_FILES, folder)
    if tokenizer.vocab_size <= FEW and not _words(tokenizer):
        raise Wrong(name, "has a vocabulary that holds no words", OWN_FILES, folder)
    known = survey.configs[vocabulary.encoder]["vocab_size"]
    if len(tokenizer) > known or core != (vocabulary.core or core):
        what = (
            f"has {len(tokenizer)} tokens ({core}), not those that its {vocabulary.encoder} reads"
        )
        raise Wrong(name, what, OWN_FILES, folder)
    return tokenizer


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


def read_tokenizer(kind: type[PreTrainedTokenizerBase], folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a folder; of T5's, SentencePiece's own file is enough."""
    if issubclass(kind, T5Tokenizer) and not (folder / "tokenizer.json").is_file():
        kind = _SentencePieceT5
    tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder, local_files_only=True)
    return tokenizer


def _words(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """What it knows besides the tokens that stand for no text."""
    known = tokenizer.get_vocab().keys() - tokenizer.get_added_vocab().keys()
    words: set[str] = known - {*tokenizer.all_special_tokens, SPACE}
    return words


class _SentencePieceT5(T5Tokenizer):
    """As transformers reads it where SentencePiece is installed, to the token."""

    @classmethod
    def convert_to_native_format(cls, **kwargs: Any) -> dict[str, Any]:
        """The settings with what the file named by `vocab_file` holds."""
        model = import_protobuf().ModelProto()
        model.ParseFromString(Path(kwargs["vocab_file"]).read_bytes())
        pieces = [(piece.piece, piece.score) for piece in model.pieces]
        extra = {"extra_ids": kwargs.get("extra_ids", 100)}
        return kwargs | {
            "vocab": T5Converter.convert_from_spm(vocab=pieces, **extra)["vocab"],
            "_spm_precompiled_charsmap": model.normalizer_spec.precompiled_charsmap or None,
        }
