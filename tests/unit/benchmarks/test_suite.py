"""A benchmark runs in a process of its own, whose end is told."""

from pathlib import Path

import pytest

from benchmarks.suite import BENCHMARKS, Benchmark, BenchmarkFailed


def test_what_it_says_and_what_it_tells_come_from_its_process(tmp_path: Path) -> None:
    said: list[str] = []
    out = tmp_path / "results" / "overlay.json"
    result = BENCHMARKS["overlay"].run(True, out, said.append)
    assert (result.name, result.quick) == ("overlay", True)
    assert said[0] == "1 rounds beside Pillow"
    assert out.is_file()


def test_a_process_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed, match=r"ended with 1\n(?s:.*)KeyError: 'nothing'"):
        Benchmark("memory", "nothing", "Nothing").run(True, tmp_path / "nothing.json", str)
