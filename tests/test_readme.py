"""Documents say what is so: numbers are the recorded ones; commands, paths and modules exist."""

from __future__ import annotations

import fnmatch
import json
import re
import subprocess
from pathlib import Path

import pytest

from host_tools.cli import variables
from host_tools.errors import UsageError
from host_tools.farm.choose import FILE as FARM
from host_tools.farm.pool import label
from host_tools.link.target import Target
from host_tools.mlperf.dataset import TRUTH
from host_tools.project import IMPORTED, QUANTISED
from host_tools.report.readme import (
    PICTURE,
    README,
    STUDIES,
    settings_digest,
    stored_recipes,
    stored_results,
    with_constants,
    with_numbers,
)
from host_tools.stages.engine import Stage
from host_tools.stages.graph import REPORTED, Source, demo_stages
from model.recipe_file import load_recipe, recipe_names
from model.recording import LOG
from model.results import EXPERIMENT, RECORDED
from tests.documents import (
    DOCUMENTS,
    ROOT,
    blocks,
    commands,
    headings,
    links,
    spans,
    wrong_commands,
)

TEXT = README.read_text("utf-8")
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in DOCUMENTS}
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
# Of a recipe's data and of the tests; and one that DESIGN.md shows because it is wrong.
OTHER_VARIABLES = {"FSDD", "ROWS", "BORD"}
FILE_NAME = re.compile(
    r"[\w./*-]*\w\.(?:py|md|h|c|cc|S|toml|json|txt|ld|sh|ini|svg|yaml|npz|tflite|html)"
)
OF_A_MACHINE = (
    "build/",
    ".venv/",
    ".experiments/",
    "gestures.",
    "sandbox/",
)  # or of the tutorial's folder
MODULE = re.compile(r"(?:model|quantize|host_tools|tests)(?:\.\w+)+")


def test_numbers_are_the_recorded_ones() -> None:
    assert with_numbers(TEXT, stored_results()) == TEXT, "run `make readme`"
    studies = STUDIES.read_text("utf-8")
    assert with_constants(studies) == studies, "run `make readme LISTS=1`"


def test_the_picture_shows_the_recorded_run() -> None:
    picture = PICTURE.read_text("utf-8").replace("&#160;", " ")
    for name, board in stored_results()["boards"].items():
        assert name in picture
        assert f"{board['counts']:,}" in picture


def test_a_document_without_marks_is_refused() -> None:
    with pytest.raises(UsageError, match=r"README\.md: .*once each"):
        with_numbers("# no marks", stored_results())
    with pytest.raises(UsageError, match=r"STUDIES\.md: .*once each"):
        with_constants("# no marks")


def test_every_target_and_variable_named_exists() -> None:
    everywhere = {name for target in TARGETS for name in variables(target)}
    for document, text in TEXTS.items():
        for words in commands(text, "make"):
            target, *given = [w for w in words if not w.startswith("-") and w != "..."] or ["help"]
            if target.startswith("<"):
                continue
            assert target in TARGETS, f"{document}: make {target}"
            named = {word.split("=")[0] for word in given}
            assert named <= variables(target), f"{document}: make {target} {named}"
        for span in spans(text):
            if name := re.match(r"(?:TINYPROOF_)?([A-Z_]+)=", span):
                assert name[1] in everywhere | OTHER_VARIABLES, f"{document}: {span}"


def test_every_command_and_option_named_exists() -> None:
    for document, text in TEXTS.items():
        assert not list(wrong_commands(text)), document


def test_a_wrong_command_is_noticed() -> None:
    for words in ("parity --bord esp32", "parity one two", "parity --cases none", "parities"):
        assert list(wrong_commands(f"Call `tinyproof {words}`.")), words
        assert list(wrong_commands(f"```console\n$ tinyproof {words}\n```\n")), words


def _files() -> set[str]:
    """Every file and folder of the project, and every file that it makes."""
    tops = ("boards", "docs", "firmware", "host_tools", "model", "monitor", "quantize", "tests")
    found = [ROOT, *ROOT.glob("*"), *(p for top in tops for p in (ROOT / top).rglob("*"))]
    templates = [path.stem for path in (ROOT / "quantize/templates").glob("*.jinja")]
    written = [
        pattern for stage in [*_stages("digits"), *_stages(None)] for pattern in stage.writes
    ]
    kept = [EXPERIMENT, RECORDED, IMPORTED, LOG, QUANTISED, *REPORTED]
    kept.append(Target(emulator=None, port="/dev/ttyUSB0").file("parity"))
    kept.append(Target(emulator=None, port=None, beside="-renode").file("parity"))
    of_many = f"-port-{label('/dev/ttyACM0')}"
    kept.append(Target(emulator=None, port="/dev/ttyACM0", beside=of_many).file("parity"))
    kept.append(FARM.name)
    kept += [Target(emulator=None, port=port).file("mlperf") for port in (None, "/dev/ttyUSB0")]
    kept.append(TRUTH)
    return {p.relative_to(ROOT).as_posix() for p in found} | {*templates, *written, *kept}


def test_every_path_named_exists() -> None:
    known = _files()
    ends = {"/".join(name.split("/")[i:]) for name in known for i in range(name.count("/") + 1)}
    for document, text in TEXTS.items():
        for word in {word for span in spans(text) for word in span.split()}:
            path = word.rstrip("/,").removeprefix("./")
            is_path = FILE_NAME.fullmatch(path) or (path.split("/")[0] in known and "/" in word)
            if not is_path or not re.fullmatch(r"[\w./*-]+", path):
                continue
            beside = (Path(document).parent / path).as_posix()
            found = {path, beside} & (known | ends) or fnmatch.filter(known, path)
            assert found or path.startswith(OF_A_MACHINE), f"{document}: {word}"


def test_every_module_named_exists() -> None:
    for document, text in TEXTS.items():
        for words in commands(text, "python -m"):
            file = ROOT / f"{words[0].replace('.', '/')}.py"
            runs = file.is_file() and "__main__" in file.read_text()
            assert runs or words[0] == "pytest", f"{document}: python -m {words[0]}"
        for span in spans(text):
            if MODULE.fullmatch(span) and not FILE_NAME.fullmatch(span):
                assert _defined(span), f"{document}: {span}"


def _defined(dotted: str) -> bool:
    """Whether it is a module, or a name that a module's text has."""
    path = ROOT.joinpath(*dotted.split("."))
    if path.with_suffix(".py").is_file() or path.is_dir():
        return True
    parent = path.parent.with_suffix(".py")
    return parent.is_file() and re.search(rf"\b{path.name}\b", parent.read_text()) is not None


def test_links_and_contents_are_whole() -> None:
    for document, text in TEXTS.items():
        for name, anchor in links(text):
            target = (ROOT / document).parent / name if name else ROOT / document
            assert target.exists(), f"{document}: {name}"
            if anchor:
                assert anchor in headings(target.read_text()), f"{document}: {name}#{anchor}"
    for document in ("DESIGN.md", "docs/STUDIES.md"):
        first, *sections = re.split(r"^## ", TEXTS[document], flags=re.MULTILINE)
        listed = [anchor for name, anchor in links(first) if not name]
        assert listed == [a for s in sections for a in headings(f"# {s.splitlines()[0]}")]


def _stages(name: str | None) -> list[Stage]:
    """The stages of a recipe, or of a model made elsewhere."""
    recipe = load_recipe(name) if name else None
    source = Source(folder=Path("x"), name=name or "model", recipe=recipe)
    return demo_stages(source, ["native"])


@pytest.mark.parametrize("recipe", ["digits", None])
def test_the_picture_of_the_flow_is_the_graph(recipe: str | None) -> None:
    """Every stage stands in it, in the graph's order, and every file that a stage writes."""
    picture, last = blocks(TEXTS["DESIGN.md"])[0], 0
    for stage in _stages(recipe):
        name = stage.name.removesuffix("-native")
        found = re.search(rf"(?<![\w./]){name}(?![\w.])", picture)
        assert found, f"the stage {name} is not in DESIGN.md's picture"
        assert found.start() > last, f"the stage {name} stands too early"
        last = found.start()
        for pattern in stage.writes:
            fixed = pattern.removeprefix("native/").split("*")[0]
            assert fixed in picture, f"{name} writes {pattern}"


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_no_file_holds_a_path_of_one_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().splitlines():
        text = (ROOT / name).read_bytes()
        assert f"{ROOT}/".encode() not in text, name


@pytest.mark.parametrize("name", recipe_names())
def test_the_row_of_a_recipe_is_of_its_network(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else: make demo RECIPE=<name>, make readme RECIPE=<name>."""
    monkeypatch.setenv("FSDD", "of-nobody")
    settings = json.loads(json.dumps(load_recipe(name).as_dict()))
    assert stored_recipes()[name]["settings"] == settings_digest(settings)
    changed = {**settings, "network": {**settings["network"], "max_weight_bytes": 1}}
    assert settings_digest(changed) != settings_digest(settings)
