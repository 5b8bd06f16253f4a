from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from diffusers import ZImagePipeline
from PIL import Image
from transformers import AutoTokenizer

from training.check import Verdict, judge
from training.evaluate import Case, Scores, cases, draw_all, sheet
from training.export import TARGET
from training.scenes import is_held_out
from training.tokenizer import make_tokenizer, unknown_words
from training.world import OBJECTS, SHAPES, Item, Scene

LARGEST = 20_000_000  # bytes of the shipped model


def test_cases_are_unseen_and_cover_the_world_in_both_languages() -> None:
    asked = cases(440)
    assert all(is_held_out(case.scene) for case in asked)
    assert Counter(case.language for case in asked) == {"en": 220, "ko": 220}
    first = Counter(case.scene.items[0].name for case in asked)
    assert set(first) == {*OBJECTS, *SHAPES}
    assert min(first.values()) >= 6
    assert len({(case.prompt, case.scene) for case in asked}) > 0.97 * len(asked)
    assert cases(440) == asked


def test_scores_count_each_axis_where_it_applies() -> None:
    alone = Scene((Item("cat"),), "red")
    pair = Scene((Item("star", "red"), Item("dog")), "blue", relation="above", height=320)
    scores = Scores()
    scores.add(Case("a cat", "en", alone, 0), Verdict(True, None, True, False, True))
    scores.add(Case("개 위의 별", "ko", pair, 1), Verdict(True, False, False, True, True))
    assert scores.share("all", "background") == 1
    assert scores.share("all", "object") == 0.5
    assert scores.share("all", "colour") == 0
    assert scores.share("two objects", "position") == 1
    assert scores.names() == {"cat": (1.0, 1), "dog": (0.0, 1), "star": (0.0, 1)}
    assert "| all | 2 | 1.000 | 0.000 | 0.500 | 0.500 | 1.000 |" in scores.table()


def test_sheet_shows_pictures_of_any_size() -> None:
    drawn = [np.full((320, 192, 3), 10, np.uint8), np.full((256, 256, 3), 200, np.uint8)]
    canvas = sheet(drawn)
    assert isinstance(canvas, Image.Image)
    assert canvas.size[1] == 264
    assert {10, 200, 255} <= set(np.unique(np.asarray(canvas)).tolist())


def test_shipped_model_is_small_and_no_worse_than_published() -> None:
    size = sum(path.stat().st_size for path in TARGET.rglob("*") if path.is_file())
    assert size <= LARGEST
    pipeline = ZImagePipeline.from_pretrained(TARGET, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    asked = cases(440)[6:440:40]
    pictures = draw_all(pipeline, asked)
    verdicts = [judge(picture, case.scene) for picture, case in zip(pictures, asked, strict=True)]
    assert all(one.background for one in verdicts)
    assert sum(one.object for one in verdicts) >= 0.8 * len(verdicts)
    assert sum(one.position for one in verdicts) >= 0.8 * len(verdicts)


def test_shipped_tokenizer_is_the_one_trained() -> None:
    shipped = AutoTokenizer.from_pretrained(TARGET / "tokenizer")
    assert shipped.get_vocab() == make_tokenizer().get_vocab()
    assert shipped.chat_template == make_tokenizer().chat_template
    assert unknown_words(shipped, "a cat on a mountain") == ["mountain"]
