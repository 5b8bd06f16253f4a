"""A tokenizer without its words is refused by name; SentencePiece's file is as good as another."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import T5Tokenizer
from transformers.convert_slow_tokenizer import import_protobuf

from deployments.diffusion.families.load import load_family
from deployments.diffusion.profile import DiffusionProfile
from deployments.diffusion.weights.components import ModelUnavailable, SharedComponents
from deployments.diffusion.weights.vocabulary import read_tokenizer
from tests.tiny_checkpoint import WORDS
from tests.unit.diffusion.conftest import ProfileOf

TOKENIZERS = [
    ("z-image", "tokenizer"),
    ("sdxl", "tokenizer"),
    ("sdxl", "tokenizer_2"),
    ("flux", "tokenizer"),
    ("flux", "tokenizer_2"),
]
PIECES = ("<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS))
CONTROL, UNKNOWN, NORMAL = 3, 2, 1


@pytest.fixture
def copied(profiles: ProfileOf, tmp_path: Path) -> ProfileOf:
    """Each family's profile on a checkpoint of its own."""

    def of(family: str) -> DiffusionProfile:
        profile = profiles[family]()
        folder = tmp_path / family
        shutil.copytree(profile.model.source, folder)
        model = profile.model.model_copy(update={"source": str(folder)})
        return profile.model_copy(update={"model": model})

    return {family: lambda family=family: of(family) for family in profiles}


def folder_of(profile: DiffusionProfile, tokenizer: str) -> Path:
    return Path(profile.model.source) / tokenizer


def write_spiece(file: Path, pieces: tuple[str, ...] = PIECES) -> None:
    """As SentencePiece writes what it has trained, unigrams; T5's three come first."""
    model = import_protobuf().ModelProto()
    for piece in pieces:
        kind = UNKNOWN if piece == "<unk>" else CONTROL if piece in PIECES[:2] else NORMAL
        model.pieces.add(piece=piece, score=-2.0 if kind == NORMAL else 0.0, type=kind)
    model.trainer_spec.model_type = 1
    model.trainer_spec.unk_id = 2
    file.write_bytes(model.SerializeToString())


@pytest.mark.parametrize(("family", "name"), TOKENIZERS)
def test_a_vocabulary_that_is_not_there_is_refused(
    copied: ProfileOf, family: str, name: str
) -> None:
    profile = copied[family]()
    (folder_of(profile, name) / "tokenizer.json").unlink()
    with pytest.raises(ModelUnavailable, match=rf"its {name} has no vocabulary"):
        SharedComponents.load(profile.model)


@pytest.mark.parametrize(("family", "name"), TOKENIZERS)
def test_a_vocabulary_without_words_is_refused(copied: ProfileOf, family: str, name: str) -> None:
    profile = copied[family]()
    file = folder_of(profile, name) / "tokenizer.json"
    content = json.loads(file.read_text())
    words, special = content["model"]["vocab"], ("[pad]", "[unk]", "<|startoftext|>")
    if isinstance(words, list):
        content["model"]["vocab"] = words[:3]
    else:
        kept = {word: i for word, i in words.items() if word in special or word[:2] == "<|"}
        content["model"] |= {"vocab": kept, "merges": []}
    file.write_text(json.dumps(content))
    with pytest.raises(ModelUnavailable, match=rf"its {name} .*no words"):
        SharedComponents.load(profile.model)


@pytest.mark.parametrize(("family", "name"), TOKENIZERS)
def test_a_damaged_vocabulary_is_refused(copied: ProfileOf, family: str, name: str) -> None:
    profile = copied[family]()
    file = folder_of(profile, name) / "tokenizer.json"
    file.write_text(file.read_text()[:-40])
    with pytest.raises(ModelUnavailable, match=rf"its {name} (cannot be read|is no JSON)"):
        SharedComponents.load(profile.model)


def test_half_of_a_vocabulary_is_refused(copied: ProfileOf) -> None:
    """Without its merges CLIP spells every word: other pictures, and no word said of it."""
    profile = copied["sdxl"]()
    folder = folder_of(profile, "tokenizer")
    file = folder / "tokenizer.json"
    (folder / "vocab.json").write_text(json.dumps(json.loads(file.read_text())["model"]["vocab"]))
    file.unlink()
    with pytest.raises(ModelUnavailable, match="its tokenizer has no vocabulary"):
        SharedComponents.load(profile.model)
    (folder / "merges.txt").write_text("#version: 0.2\n")
    SharedComponents.load(profile.model)


@pytest.mark.parametrize("family", ["z-image", "flux", "sdxl"])
def test_a_vocabulary_larger_than_its_encoder_s_is_refused(copied: ProfileOf, family: str) -> None:
    profile = copied[family]()
    file = folder_of(profile, "tokenizer") / "tokenizer.json"
    content = json.loads(file.read_text())
    known = content["model"]["vocab"]
    known |= {f"word{i}": i for i in range(len(known), 90)}
    file.write_text(json.dumps(content))
    with pytest.raises(ModelUnavailable, match=r"has 90 tokens.*its text_encoder reads"):
        SharedComponents.load(profile.model)


def test_sentencepiece_s_file_is_read_as_the_other_is(copied: ProfileOf) -> None:
    profile = copied["flux"]()
    folder = folder_of(profile, "tokenizer_2")
    before = load_family(profile).encode("a red cat under the sea").embedding
    (folder / "tokenizer.json").unlink()
    write_spiece(folder / "spiece.model")
    family = load_family(profile)
    assert family.encode("a red cat under the sea").embedding.tokens.equal(before.tokens)
    assert not family.encode("a blue dog").embedding.tokens.equal(before.tokens)


def test_t5_s_sentinels_follow_sentencepiece_s_last_piece(tmp_path: Path) -> None:
    write_spiece(tmp_path / "spiece.model")
    tokenizer = read_tokenizer(T5Tokenizer, tmp_path)
    assert tokenizer.convert_tokens_to_ids("<extra_id_0>") == len(PIECES) + 99
    assert len(tokenizer) == len(PIECES) + 100
    assert tokenizer("a red cat").input_ids[-1] == tokenizer.eos_token_id == 1


@pytest.mark.parametrize("content", [b"", b"version https://git-lfs.github.com/spec/v1\n"])
def test_a_sentencepiece_file_without_words_is_refused(copied: ProfileOf, content: bytes) -> None:
    profile = copied["flux"]()
    folder = folder_of(profile, "tokenizer_2")
    (folder / "tokenizer.json").unlink()
    (folder / "spiece.model").write_bytes(content)
    with pytest.raises(ModelUnavailable, match=r"its tokenizer_2 (is empty|is a git)"):
        SharedComponents.load(profile.model)
