"""The tokenizer: whole words of the grammar, so that any other word is seen to be unknown.

WordPiece over lower-cased NFC text whose punctuation counts as space. English plurals and Korean
particles are continuations (`##s`, `##에`); a word that is not spelt by them becomes `[UNK]`, and
the offsets of those tokens name what the model does not know.
"""

from __future__ import annotations

from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from training import words

SPECIAL = ("[PAD]", "[UNK]", "<|ask|>", "<|draw|>")
CHAT_TEMPLATE = (
    "{%- for message in messages %}{{ '<|ask|>' + message['content'] }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|draw|>' }}{%- endif %}"
)
MAX_TOKENS = 512
ENGLISH_FUNCTION_WORDS = (
    "a", "an", "the", "of", "on", "in", "at", "with", "and", "to", "for", "it", "is", "side",
    "corner", "background", "backdrop", "solid", "plain", "against", "photo", "picture", "image",
    "object", "very", "one", "there", "me", "please", "show", "make", "create", "want",
)  # fmt: skip
KOREAN_FUNCTION_WORDS = (
    "배경", "위", "아래", "있는", "하나", "한", "개", "마리", "바탕", "쪽", "그려", "줘", "주세요",
    "만들어", "그리고", "놓인", "두고", "모양", "색", "있다",
)  # fmt: skip
KOREAN_PARTICLES = (
    "에", "의", "이", "가", "은", "는", "을", "를", "과", "와", "에는", "에서", "으로", "로", "도",
    "만", "색", "색의", "인", "한", "위에", "위의", "용", "에다", "엔",
)  # fmt: skip
ENGLISH_ENDINGS = ("s", "es")


def _table_words() -> set[str]:
    """Every word of the tables in `training.words`."""
    phrases: list[str] = []
    for name, table in vars(words).items():
        if name.isupper():
            entries = table.values() if isinstance(table, dict) else (table,)
            for entry in entries:
                phrases.extend((entry,) if isinstance(entry, str) else entry)
    return {word for phrase in phrases for word in phrase.lower().split()}


def vocabulary() -> dict[str, int]:
    """Token to id; special tokens first, the rest in alphabetical order."""
    plain = _table_words() | set(ENGLISH_FUNCTION_WORDS) | set(KOREAN_FUNCTION_WORDS)
    endings = {f"##{ending}" for ending in (*KOREAN_PARTICLES, *ENGLISH_ENDINGS)}
    return {token: index for index, token in enumerate((*SPECIAL, *sorted(plain | endings)))}


def make_tokenizer(vocab: dict[str, int] | None = None) -> PreTrainedTokenizerFast:
    """The tokenizer of a vocabulary, this world's unless another is given."""
    backend = Tokenizer(models.WordPiece(vocab=vocab or vocabulary(), unk_token="[UNK]"))
    backend.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex("['’]"), ""),
            normalizers.Replace(Regex(r"[^\w\s]|_"), " "),
        ]
    )
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        eos_token="<|draw|>",
        additional_special_tokens=["<|ask|>"],
        padding_side="right",
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def as_chat(tokenizer: PreTrainedTokenizerFast, prompt: str) -> str:
    """The prompt in the chat template, as the Z-Image pipelines apply it."""
    text: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=True,
    )
    return text


def unknown_words(tokenizer: PreTrainedTokenizerFast, prompt: str) -> list[str]:
    """The words of the prompt that the model has never learnt, as they were written."""
    encoded = tokenizer(prompt, return_offsets_mapping=True)
    pairs = zip(encoded.input_ids, encoded.offset_mapping, strict=True)
    return [prompt[a:b] for token, (a, b) in pairs if token == tokenizer.unk_token_id]
