"""Tokenizers with their vocabularies: one that knows no words would read every prompt alike.

transformers makes a tokenizer even of a folder without a vocabulary. SentencePiece files are read
by way of their protobuf, which takes no package of SentencePiece's own.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, T5Tokenizer
from transformers.convert_slow_tokenizer import T5Converter, import_protobuf

from deployments.diffusion.weights.unavailable import ModelUnavailable

FEW = 1000  # tokens; those of a real vocabulary take a while to be listed
SPACE = "▁"  # SentencePiece's, which a T5 tokenizer without a vocabulary knows by itself


def load_tokenizer(kind: Any, folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a component's folder, of the class `kind`.

    Raises ModelUnavailable where a file of its vocabulary is missing, damaged or holds no words.
    """
    files = dict(kind.vocab_files_names)
    whole = files.pop("tokenizer_file")  # all of it in one file; else the others are all needed
    missing = [file for file in files.values() if not (folder / file).is_file()]
    if not (folder / whole).is_file() and missing:
        raise _refused(folder, f"{' and '.join(missing)} missing, and {whole} is not there either")
    if not (folder / whole).is_file() and files["vocab_file"].endswith(".model"):
        kind = _of_pieces(kind, folder, files["vocab_file"])
    try:
        tokenizer: PreTrainedTokenizerBase = kind.from_pretrained(folder)
    except Exception as error:  # what reads them in Rust and protobuf raises bare ones
        raise _refused(folder, "its files cannot be read; the log says why") from error
    if tokenizer.vocab_size <= FEW and not _words(tokenizer):
        raise _refused(folder, "it holds no words")
    return tokenizer


def _words(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """What it knows besides the tokens that stand for no text."""
    known = tokenizer.get_vocab().keys() - tokenizer.get_added_vocab().keys()
    words: set[str] = known - {*tokenizer.all_special_tokens, SPACE}
    return words


def require_embedded(
    tokenizers: Mapping[str, PreTrainedTokenizerBase], modules: Mapping[str, torch.nn.Module]
) -> None:
    """Raise ModelUnavailable for a tokenizer with tokens that its text encoder has no rows for."""
    for name, tokenizer in tokenizers.items():
        encoder: Any = modules.get(name.replace("tokenizer", "text_encoder"))
        if encoder is None:
            continue
        tokens, rows = len(tokenizer), encoder.get_input_embeddings().weight
        if tokens > len(rows):
            raise ModelUnavailable(
                f"{name}: its vocabulary has {tokens} tokens, but the text encoder knows "
                f"{len(rows)}: one of the two is another model's"
            )


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


def _of_pieces(kind: Any, folder: Path, file: str) -> type[T5Tokenizer]:
    if not issubclass(kind, T5Tokenizer):
        why = f"{file} is read for T5 alone; have transformers save a tokenizer.json"
        raise _refused(folder, why)
    return _SentencePieceT5


def _refused(folder: Path, why: str) -> ModelUnavailable:
    return ModelUnavailable(
        f"{folder.name}: its vocabulary: {why}; bring the tokenizer's files from where the model "
        "comes from"
    )
