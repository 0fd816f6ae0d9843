"""The operator rows on the emulated boards: a slow sweep, each row is a firmware of its own."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import pytest

from tests import steps as command
from tests.generators import GENERATORS
from tests.test_parity import make_build


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_rows_are_equal_on_the_emulated_boards(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    out_dir = make_build(tmp_path, name.lower(), name, zlib.crc32(name.encode()))
    for board in ("qemu_m4", "qemu_riscv32", "qemu_xtensa"):
        assert command.main(["build", out_dir.name, board]) == 0
        assert command.main(["parity", out_dir.name, board]) == 0
        report = json.loads((out_dir / board / "parity.json").read_text())
        assert report["equal"] == report["cases"] > 0
