"""README says what is so: its numbers are the recorded ones, its commands and paths exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from host_tools.errors import UsageError
from host_tools.report.readme import PICTURE, README, stored_results, with_numbers

ROOT = Path(__file__).parents[1]
TEXT = README.read_text("utf-8")
DOCUMENTS = [
    README,
    ROOT / "DESIGN.md",
    ROOT / "boards/README.md",
    ROOT / "model/datasets/README.md",
]


def test_numbers_are_the_recorded_ones() -> None:
    assert with_numbers(TEXT, stored_results()) == TEXT, "run `make readme`"


def test_the_picture_shows_the_recorded_run() -> None:
    picture = PICTURE.read_text("utf-8").replace("&#160;", " ")
    for name, board in stored_results()["boards"].items():
        assert name in picture
        assert f"{board['counts']:,}" in picture


def test_a_readme_without_marks_is_refused() -> None:
    with pytest.raises(UsageError, match="once each"):
        with_numbers("# no marks", stored_results())


def test_every_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    for document in DOCUMENTS:
        for target in re.findall(r"`make ([a-z-]+)", document.read_text("utf-8")):
            assert target in targets, f"{document.name}: make {target}"


def test_every_path_named_exists() -> None:
    for document in DOCUMENTS:
        for path in re.findall(r"`([\w./-]+\.(?:py|md|h|c|toml|json|txt))`", document.read_text()):
            found = [ROOT / path, document.parent / path, *ROOT.glob(f"*/{path}")]
            found += list(ROOT.glob(f"*/*/{path}"))
            generated = {"model.c", "model.h", "manifest.json", "parity.json", "report.html"}
            generated |= {"model_features.c", "model_features.h"}
            generated |= {"quantize.json", "train.json", "cross_validation.json", "bench.json"}
            assert any(p.exists() for p in found) or Path(path).name in generated, path


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_file_holds_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        text = (ROOT / name).read_bytes()
        assert f"{ROOT}/".encode() not in text, name
