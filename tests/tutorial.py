"""python -m tests.tutorial: write docs/TUTORIAL.md by running its commands in a new folder.

With --pictures headless Chromium also draws the pages that the commands have made.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from host_tools import wording
from model import recording

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "TUTORIAL.md"
TEXT = Path(__file__).parent / "tutorial.md"
STEP = re.compile(r"^```run(?: +(\d+)?(?:\.\.(\d+))?)?\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
PICTURES = {
    "tutorial_data.png": "gestures/build/recipes/gestures/data.html",
    "tutorial_report.png": "gestures/build/recipes/gestures/report.html",
}
COLUMNS = "78"
TIMEOUT_S = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A block of the text: commands, and how many first and last lines of output are shown."""

    commands: str
    first: int
    last: int


def steps() -> list[Step]:
    """All blocks of tests/tutorial.md, in their order."""
    return [
        Step(commands=m[3], first=int(m[1] or 40), last=int(m[2] or 0))
        for m in STEP.finditer(TEXT.read_text("utf-8"))
    ]


def run(step: Step, folder: Path) -> str:
    """What the commands print; raises CalledProcessError when one fails.

    `tinyproof` is this checkout's. A `cd` is kept for later steps in a file of `folder`.
    """
    place = folder / ".place"
    here = place.read_text("utf-8") if place.exists() else str(folder)
    own = folder / ".bin"
    if not own.exists():
        own.mkdir()
        (own / "tinyproof").write_text(
            f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.tinyproof "$@"\n'
        )
        (own / "tinyproof").chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{own}:{os.environ['PATH']}",
        "COLUMNS": COLUMNS,
        recording.SWITCH: "off",
    }
    environment.pop(wording.GOALS, None)  # no make: advice as tinyproof's commands
    script = f"set -e\ncd '{here}'\n{step.commands}\npwd > '{place}'\n"
    done = subprocess.run(
        ["bash", "-c", script],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, step.commands, done.stdout)
    place.write_text(place.read_text("utf-8").strip(), "utf-8")
    return plain(done.stdout, folder)


def plain(text: str, folder: Path) -> str:
    """Without colours, moments and the temporary folder's name."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace(str(folder), "~")
    text = re.sub(r"^.*still being recorded.*\n?", "", text, flags=re.MULTILINE)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def shown(step: Step, output: str) -> str:
    """The block as the page has it: commands, then the chosen lines of what they print."""
    lines = output.splitlines()
    if len(lines) > step.first + step.last + 1:
        tail = lines[len(lines) - step.last :] if step.last else []
        lines = [*lines[: step.first], "...", *tail]
    commands = "".join(f"$ {line}\n" for line in step.commands.strip().splitlines())
    said = "\n".join(lines)
    return f"```console\n{commands}{said}\n```\n" if said else f"```console\n{commands}```\n"


def render(outputs: list[str]) -> str:
    """The page with the outputs of all steps."""
    blocks = iter([shown(s, o) for s, o in zip(steps(), outputs, strict=True)])
    return STEP.sub(lambda _: next(blocks), TEXT.read_text("utf-8"))


def fits(page: str) -> bool:
    """Whether a page has the text and the commands of tests/tutorial.md, whatever they printed."""
    prose = [re.escape(part) for part in STEP.sub("\0", TEXT.read_text("utf-8")).split("\0")]
    made = [re.escape(shown(step, "").removesuffix("```\n")) for step in steps()]
    blocks = [f"{block}(?:(?!```).*\n)*```\n" for block in made]
    pattern = "".join(a + b for a, b in zip(prose, [*blocks, ""], strict=True))
    return re.fullmatch(pattern, page) is not None


def draw(folder: Path) -> None:
    """PNG of the pages, by headless Chromium; nothing where there is none."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no chromium on PATH: the pictures stay as they are")
        return
    for name, page in PICTURES.items():
        arguments = ["--headless", "--no-sandbox", "--hide-scrollbars", "--window-size=900,700"]
        picture = f"--screenshot={PAGE.parent / name}"
        subprocess.run(
            [browser, *arguments, picture, f"file://{folder / page}"], check=True, timeout=120
        )


def main(arguments: list[str]) -> int:
    """Run the steps, write the page."""
    with tempfile.TemporaryDirectory(prefix="tutorial-") as name:
        outputs = []
        for step in steps():
            print(step.commands.strip(), flush=True)
            outputs.append(run(step, Path(name)))
        PAGE.write_text(render(outputs), "utf-8")
        if "--pictures" in arguments:
            draw(Path(name))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
