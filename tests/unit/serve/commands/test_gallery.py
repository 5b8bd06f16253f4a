"""What the gallery shows, and its page."""

import numpy as np
import pytest

from deployments.postprocess.design.names import template_names
from serve.commands import gallery
from serve.settings import AppArgs, find_brands


def test_each_template_is_shown_in_every_language_and_at_every_placement() -> None:
    entries = gallery.plan()
    assert 40 <= len(entries) <= 48
    assert len({entry.file for entry in entries}) == len(entries)
    assert len({entry.picture for entry in entries}) >= 6
    for name in template_names():
        ours = [entry for entry in entries if entry.template == name]
        assert {entry.language for entry in ours} == set(gallery.LANGUAGES)
        assert {entry.placement for entry in ours} == set(gallery.PLACEMENTS)


def test_every_picture_named_there_exists() -> None:
    named = {entry.picture for entry in gallery.plan()}
    assert named <= {*gallery.DRAWN, *gallery.photographs()}


def test_the_brands_named_there_are_packaged() -> None:
    assert {e.brand for e in gallery.plan() if e.brand} <= set(find_brands(AppArgs()))


def test_the_page_says_what_was_measured() -> None:
    entry = gallery.plan()[0]
    shown = gallery.Shown(entry, np.zeros((8, 8, 3), np.uint8), 4.567, ("a warning",))
    page = gallery.page([shown], "gallery")
    assert f'src="gallery/{entry.file}"' in page
    row = next(line for line in page.splitlines() if entry.picture in line and "|" in line)
    assert "4.57" in row
    assert "a warning" in row


def test_photographs_without_scikit_image_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "skimage", None)
    with pytest.raises(gallery.GalleryFailed, match="scikit-image"):
        gallery.photographs()
