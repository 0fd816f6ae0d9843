"""The GitHub Actions workflow of a project: the steps that a user would type, and the gates."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import jinja2

from host_tools.boards.board import load_board
from host_tools.errors import UsageError
from model import __version__
from model.files import read_bounded, write_text
from model.text import printable

WORKFLOW = Path(".github/workflows/tinyproof.yml")
MAX_BYTES = 1_000_000  # of one; ours has some 3,000
# Read from the tags of the actions' own repositories, not from the network: nothing here asks it.
ACTIONS = {
    "checkout": "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1",
    "setup-python": "actions/setup-python@5fda3b95a4ea91299a34e894583c3862153e4b97 # v7.0.0",
    "upload-artifact": "actions/upload-artifact@bbbca2ddaa5d8feaa63e36b76fdaad77386f024f # v7.0.0",
}
# What a name in the workflow is made of: nothing that YAML, a shell or GitHub's ${{ }} reads.
_SAFE = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@=,~^/ -]{0,199}")
_INSTALL = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.+@=,<>!~:/#&?%\[\] -]{0,299}")


def workflow_text(
    source: str,
    baseline: Path,
    boards: Sequence[str],
    *,
    recipe: bool,
    drift_board: str | None = None,
    install: str | None = None,
    inputs: Path | None = None,
    float_model: Path | None = None,
) -> str:
    """The workflow for a recipe's name or a model's path in the project's folder.

    Drift is read on `drift_board`, where the baseline has it.
    Raises UsageError for names that a workflow cannot hold, files of other folders and boards that
    do not exist.
    """
    for board in (*boards, *([drift_board] if drift_board else ())):
        load_board(board)  # else nothing of what stands in a step
    settings = {"SOURCE": source if recipe else _inside(Path(source), "the model")}
    settings["BASELINE"] = _inside(baseline, "--baseline (BASELINE=)")
    if inputs is not None:
        settings["TINYPROOF_INPUTS"] = _inside(inputs, "--inputs (INPUTS=)")
    if float_model is not None:
        settings["TINYPROOF_FLOAT"] = _inside(float_model, "--float (FLOAT=)")
    install = install or f"tinyproof=={__version__}"
    if not _INSTALL.fullmatch(install):
        raise UsageError(f"--install {install!r} (INSTALL=): expected what pip installs")
    for value in settings.values():
        if not _SAFE.fullmatch(value):
            raise UsageError(
                f"{printable(value)!r}: a name in a workflow is of letters, digits, spaces and "
                "._+@=,~^/- only; rename the file"
            )
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="[[",
        variable_end_string="]]",
        block_start_string="[%",
        block_end_string="%]",
    )
    return environment.get_template("tinyproof.yml.jinja").render(
        actions=ACTIONS,
        baseline=settings["BASELINE"],
        boards=list(boards),
        drift_board=drift_board,
        install=install,
        settings=settings,
    )


def _inside(path: Path, what: str) -> str:
    """A file's path from the project's folder, which is where the workflow runs."""
    try:
        relative = path.absolute().resolve().relative_to(Path.cwd().resolve())
    except ValueError:
        raise UsageError(
            f"{what}: {path} is not in the project's folder, so a workflow does not see it; copy "
            "it there and commit it"
        ) from None
    return relative.as_posix()


def write_workflow(text: str) -> Path:
    """Write it into the project; UsageError where another file is in its place."""
    try:
        there = read_bounded(WORKFLOW, MAX_BYTES).decode()
    except FileNotFoundError:
        there = None
    except (OSError, ValueError) as error:
        raise UsageError(f"{WORKFLOW}: cannot be read: {error}") from error
    if there not in (None, text):
        raise UsageError(
            f"{WORKFLOW}: another file is there already, and is left as it is; move it away to get "
            "a new one"
        )
    WORKFLOW.parent.mkdir(parents=True, exist_ok=True)
    write_text(WORKFLOW, text)
    return WORKFLOW
