"""The card of a model: metadata that parses, only what was measured, and names that stay names."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from host_tools.commands.model_card import command
from host_tools.errors import UsageError
from host_tools.report.card import interval, model_card
from model.files import write_json
from tests.result_files import LABELS, write_drift, write_run, write_training

HOSTILE = 'a: [b](http://c) <img src=x onerror=1> @all\n---\n# d | `e` {{ f }} "g" ${{ h }} \x1b[m'


def parts(text: str) -> tuple[dict[str, Any], str]:
    """The metadata as a hub reads it, and the text behind it."""
    found = re.fullmatch(r"---\n(.*?)\n---\n(.*)", text, re.DOTALL)
    assert found
    return yaml.safe_load(found[1]), found[2]


def rendered(text: str) -> str:
    """The text as a hub shows it."""
    return str(MarkdownIt("gfm-like", {"linkify": False}).render(text))


def test_the_metadata_is_what_hubs_read(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    meta, body = parts(model_card(out_dir, "apache-2.0"))
    assert (meta["license"], meta["library_name"]) == ("apache-2.0", "tinyproof")
    assert {"tinyml", "tflite", "int8"} <= set(meta["tags"])
    (model,) = meta["model-index"]
    (result,) = model["results"]
    device = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())["metrics"]
    told = {m["type"]: m["value"] for m in result["metrics"]}
    assert told["balanced_accuracy"] == pytest.approx(device["balanced_accuracy"], abs=1e-6)
    assert result["dataset"]["split"] == "test" and len(result["dataset"]["revision"]) == 64
    assert rendered(body).count("<table>") >= 5
    rows = body.split("| share |")[1].split("\n\n")[0].splitlines()[1:]
    assert len(rows) == 9 and all(len(row.split("|")) == 6 for row in rows)


def test_spread_and_limits_are_told_and_what_is_missing_is_named(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_drift(out_dir)
    _, whole = parts(model_card(out_dir))
    assert "standard deviation 0.021" in whole and "95 %" in whole
    assert "No hardware has run it here" in whole
    assert "an alarm" in whole or ": alarm over 256 windows" in whole
    assert "Not stated" in whole
    for name in ("cross_validation.json", "drift.json"):
        (out_dir / name).unlink()
    meta, less = parts(model_card(out_dir))
    assert meta["license"] == "unknown"
    assert "no cross-validation of these settings has been run" in less
    assert "Drift has not been looked for" in less
    assert "standard deviation" not in less
    missing = less.split("## Not measured")[1]
    assert "make train RECIPE=motion CV=5" in missing and "make drift" in missing


def test_a_run_without_boards_claims_nothing(tmp_path: Path) -> None:
    write_training(tmp_path / "motion", title="T")
    _, body = parts(model_card(tmp_path / "motion"))
    assert "Nowhere yet" in body and "equal" not in body.split("## Where")[1].split("## Limits")[0]
    with pytest.raises(UsageError, match="nothing to report"):
        model_card(tmp_path)


def test_a_result_of_another_model_does_not_count(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    path = out_dir / "qemu_m4" / "parity.json"
    write_json(path, json.loads(path.read_text()) | {"run_id": "f" * 12})
    _, body = parts(model_card(out_dir))
    (row,) = [line for line in body.splitlines() if line.startswith("| qemu&#95;m4 | qemu")]
    assert "does not count" in row


def test_names_are_names(tmp_path: Path) -> None:
    labels = (HOSTILE, *LABELS[1:])
    out_dir = write_run(tmp_path / "motion", title=HOSTILE)
    write_training(out_dir, title=HOSTILE, labels=labels)
    for path in out_dir.glob("gen/*/manifest.json"):
        write_json(path, json.loads(path.read_text()) | {"labels": list(labels)})
    path = out_dir / "dataset.json"
    more = {"channels": [HOSTILE], "source": HOSTILE, "preparation": [HOSTILE]}
    write_json(path, json.loads(path.read_text()) | more)
    meta, body = parts(model_card(out_dir))
    name = meta["model-index"][0]["results"][0]["dataset"]["name"]
    assert name.startswith("a: [b](http://c) <img") and "\\n---\\n" in name
    assert len(body.splitlines()[1:]) > 50 and "\x1b" not in body and "@" not in body
    page = rendered(body)
    for tag in ("<a", "<img", "<h1>d", "<em>", "<code>e", "<hr"):
        assert tag not in page, tag
    assert page.count("<h1>") == 1


def test_intervals_are_wilsons() -> None:
    assert interval(8, 10) == "49.0 % to 94.3 %"  # Brown, Cai and DasGupta's example of the method
    assert interval(69, 69).endswith("100.0 %")


@pytest.mark.parametrize("licence", ["", "MIT\n", "a: b", "-x", "Apache 2.0", "x" * 65])
def test_a_licence_is_an_identifier(licence: str) -> None:
    with pytest.raises(UsageError, match="LICENSE"):
        assert command.callback is not None
        command.callback.__wrapped__.__wrapped__(source=None, licence=licence, out=None)
