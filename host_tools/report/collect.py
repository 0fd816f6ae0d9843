"""Collect what a run left in a folder of results into report.json and report.html.

Nothing is measured or typed in here: every number comes from a file that another step wrote, and a
part that was not run is missing from the report.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from host_tools.boards.board import ENGINE, Board, board_of_folder, load_board
from host_tools.errors import UsageError
from host_tools.report.libraries import LIBRARY, libraries
from host_tools.report.results import read_result, right_shape, unanswered
from host_tools.wording import as_typed
from model import __version__
from model.decide import RECORD as RULE
from model.evaluate import headline
from model.results import WEIGHTS
from model.tasks import RECORDS
from quantize.golden import load_golden

JsonObject = dict[str, Any]

MAIN_BOARD = "qemu_m4"  # whose kernels the generated part of the report describes
BOARD_FILES = ("parity", "bench", "features", "alternative")
PORT, ON_BOARD = "-port", " (board)"  # behind the name of a result that a real board gave; in words
# Parts of a report that are of one manifest, and by which of its keys.
OF_MANIFEST = (
    ("cross_validation", "settings"),
    ("drift", "model_sha256"),
    ("rule", "model_sha256"),
)
EQUAL, DIFFERS, STALE, NOT_RUN = "equal", "differs", "stale", "not run"  # a board's parity
INCOMPLETE = "incomplete"  # likewise: equal so far, but cases have no answer
# A rung's state, besides DIFFERS and NOT_RUN.
PROVEN, MEASURED, REFERENCE, HARDWARE = (
    "proven here",
    "measured here",
    "reference",
    "needs hardware",
)


def collect(out_dir: Path) -> JsonObject:
    """All results in `out_dir`, with each board's parity state, the verdict and the ladder.

    A part whose file does not exist is None. Raises UsageError as write_report does.
    """
    with right_shape(out_dir):
        return _collect(out_dir)


def _collect(out_dir: Path) -> JsonObject:
    content: JsonObject = {
        "name": out_dir.name,
        "dataset": _read(out_dir / "dataset.json"),
        "train": _read(out_dir / "train.json"),
        "cross_validation": _read(out_dir / "cross_validation.json"),
        "quantize": _read(out_dir / "quantize.json"),
        "classical": _read(out_dir / "classical.json"),
        **{task: _read(out_dir / name) for task, name in RECORDS.items()},
        "rule": _read(out_dir / RULE),
        "drift": _read(out_dir / "drift.json"),
        "manifest": _read(load_board(MAIN_BOARD).gen_dir(out_dir) / "manifest.json"),
        "needs": _needs(out_dir),
        "golden_cases": _golden_cases(out_dir / "golden.npz"),
        "golden_sha256": _digest(out_dir / "golden.npz"),
        "boards": _boards(out_dir, interpreted=False),
        "interpreted": _boards(out_dir, interpreted=True),
        "libraries": libraries(out_dir),
        "searches": [
            found
            for path in sorted(out_dir.glob("search/*/search.json"))
            if (found := _read(path)) is not None
        ],
        "generated_from": {
            "tinyproof": __version__,
            "matplotlib": version("matplotlib"),
            "jinja2": version("jinja2"),
        },
    }
    if not any(content[part] for part in ("dataset", "train", "quantize", "manifest", "boards")):
        raise UsageError(
            f"{out_dir}: nothing to report: no results of any step; run `make demo` first "
            "(RECIPE= or MODEL= name what to run)"
        )
    content["left_out"] = list(_leave_out(content, out_dir))
    floats = float_comparisons(content["boards"])
    verdict = _verdict(content["boards"], make_variable(content), floats)
    content["verdict"] = _phrased(verdict)
    content["ladder"] = _phrased(_ladder(content, floats))
    return content


def _phrased(value: Any) -> Any:
    """The same with all advice as whoever asked types it."""
    if isinstance(value, str):
        return as_typed(value)
    if isinstance(value, list):
        return [_phrased(item) for item in value]
    if isinstance(value, dict):
        return {key: _phrased(item) for key, item in value.items()}
    return value


def _leave_out(content: JsonObject, out_dir: Path) -> Iterator[str]:
    """Remove what is of another model or of other settings; yields the names of these parts."""
    manifest = content["manifest"]
    for board in (*content["boards"].values(), *content["interpreted"].values()):
        board["state"] = _parity_state(board, content["golden_sha256"])
        for part in ("features", "bench"):
            if board[part] and _is_of_another(board[part], board["generated"]):
                board[part] = None
    quantised, weights = content["quantize"], out_dir / WEIGHTS
    if quantised and "weights_sha256" in quantised and weights.is_file():
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        if content["train"] and quantised["weights_sha256"] != digest:
            content["train"] = None  # of a training that is not quantised yet
            content["unquantised"] = True
            yield "train"
    for part, key in OF_MANIFEST:
        told = content[part]
        if told and (manifest is None or told[key] != manifest[key]):
            content[part] = None
            yield part


def make_variable(content: JsonObject) -> str:
    """What chooses this run in a `make` command."""
    name = shlex.quote(content["name"])
    return f"RECIPE={name}" if content["dataset"] else f"MODEL={name}"


def join_words(words: list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else "".join(words)


def runs_on(result: JsonObject) -> str:
    """Where a parity or bench result was obtained: an emulator, this computer or a real port."""
    if result["emulator"] == "native":
        return "this computer"
    return str(result["emulator"] or result.get("port") or "real board")


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def _read(path: Path) -> JsonObject | None:
    try:
        return read_result(path)
    except FileNotFoundError:
        return None


def _golden_cases(path: Path) -> int | None:
    return len(load_golden(path)) if path.exists() else None


def _boards(out_dir: Path, *, interpreted: bool) -> JsonObject:
    """Each folder with a board's results; real boards first, this computer last.

    What an interpreter has shown stands apart: it proves nothing of generated code.
    """
    found: JsonObject = {}
    for folder in sorted(path for path in out_dir.glob("*") if path.is_dir()):
        known = _known(folder.name)
        if folder.name.endswith(LIBRARY) or (known is not None and known.suffix):
            continue  # another image of a board that stands here
        if (known is not None and known.engine != ENGINE) != interpreted:
            continue
        for suffix, title in (("", ""), (PORT, ON_BOARD)):
            if (results := _board(out_dir, folder, suffix)) is not None:
                found[folder.name + title] = results
    order = sorted(found.items(), key=lambda i: (not i[1]["real"], i[1]["budget"]["flash"] is None))
    return dict(order)


def _board(out_dir: Path, folder: Path, suffix: str) -> JsonObject | None:
    """The results of a board's folder whose names end in `suffix`; None where there are none."""
    results: JsonObject = {name: _read(folder / f"{name}{suffix}.json") for name in BOARD_FILES}
    size = _read(folder / "size.json")
    if not any(results.values()) and (suffix or size is None):
        return None
    known = _known(folder.name)
    upload = known.upload if known else None
    return results | {
        "size": size,
        "generated": _generated(out_dir, known) if known else None,
        "title": known.title if known else None,
        "real": upload is not None,
        "kernels": known.kernels if known else None,
        "budget": budget_of(known) if known else {"flash": None, "ram": None},
    }


def _known(folder: str) -> Board | None:
    """The board, with kernels, that a folder is named after."""
    try:
        return board_of_folder(folder)
    except UsageError:
        return None


def _generated(out_dir: Path, board: Board) -> JsonObject | None:
    """Which model, settings and kernels the board's firmware is generated from now."""
    manifest = _read(board.gen_dir(out_dir) / "manifest.json")
    return manifest and {key: manifest[key] for key in ("model_sha256", "run_id")}


def budget_of(board: Board) -> JsonObject:
    """Bytes of flash (what holds code or constants) and of RAM; None without a limit."""
    stored = {m.name: m.bytes for m in board.memories if {"code", "constants"} & {*m.holds}}
    data = [m.bytes for m in board.memories if "data" in m.holds]
    return {"flash": sum(stored.values()) or None, "ram": sum(data) or None}


def _needs(out_dir: Path) -> JsonObject:
    """The least bytes of flash and RAM that a model takes with each set of kernels."""
    found = {path.parent.name: _read(path) or {} for path in out_dir.glob("gen/*/manifest.json")}
    keys = {"flash": "weight_bytes", "ram": "arena_lower_bound"}
    return {
        kernels: {part: manifest[key] for part, key in keys.items()}
        for kernels, manifest in found.items()
        if all(key in manifest for key in keys.values())
    }


def _is_of_another(result: JsonObject, manifest: JsonObject | None) -> bool:
    """Whether a result belongs to another model than the manifest's."""
    keys = ("model_sha256", "run_id")
    return manifest is not None and any(result[key] != manifest[key] for key in keys)


def _parity_state(board: JsonObject, golden: str | None) -> str:
    parity = board["parity"]
    if parity is None:
        return NOT_RUN
    images = [part.get("image_sha256") for part in (parity, board["size"]) if part]
    rebuilt = None not in images and len(set(images)) > 1  # after it was compared
    other_cases = None not in (golden, parity.get("golden_sha256")) and (
        parity["golden_sha256"] != golden
    )
    if rebuilt or other_cases or _is_of_another(parity, board["generated"]):
        return STALE
    passed = parity["first_difference"] is None and not parity["selftest"]["failures"]
    if passed and unanswered(parity):
        return INCOMPLETE
    return EQUAL if passed and parity["cases"] == parity["equal"] > 0 else DIFFERS


def float_comparisons(boards: JsonObject) -> JsonObject:
    """Board -> how far it is from the float network; a result of another model does not count."""
    return {
        name: board["parity"]["float_comparison"]
        for name, board in boards.items()
        if board["parity"] and board["state"] != STALE and board["parity"].get("float_comparison")
    }


def most_compared(content: JsonObject) -> JsonObject | None:
    """The comparison with the float network that is about most cases."""
    floats = float_comparisons(content["boards"]).values()
    return max(floats, key=lambda found: int(found["cases"]), default=None)


def _verdict(boards: JsonObject, which: str, floats: JsonObject) -> JsonObject:
    """One headline, and a sentence for each board that is not simply equal.

    `which` is the variable of the `make` commands in the sentences.
    """
    by_state: dict[str, list[str]] = {
        state: [] for state in (EQUAL, DIFFERS, INCOMPLETE, STALE, NOT_RUN)
    }
    for name, board in boards.items():
        by_state[board["state"]].append(name)
    details = [line for name in by_state[DIFFERS] for line in _failures(name, boards[name])]
    if by_state[DIFFERS]:
        state = DIFFERS
        headline = f"Not equal on {join_words(by_state[DIFFERS])}"
        if by_state[EQUAL]:
            details.append(f"Every output byte is equal on {join_words(by_state[EQUAL])}.")
    elif by_state[EQUAL]:
        state, headline = EQUAL, f"Every output byte is equal on {join_words(by_state[EQUAL])}"
        details.append(_scope({name: boards[name]["parity"] for name in by_state[EQUAL]}))
    elif by_state[INCOMPLETE]:
        state = INCOMPLETE
        headline = f"No proof yet: parity is incomplete on {join_words(by_state[INCOMPLETE])}"
    else:
        state, headline = NOT_RUN, "Parity has not been checked on any board"
        details.append(f"Run `make parity {which} BOARD=<board>`.")
    for name in by_state[INCOMPLETE]:
        parity = boards[name]["parity"]
        details.append(
            f"{name}: {unanswered(parity)}, which proves nothing; run "
            f"`make parity {which} BOARD={name}` again."
        )
    for name in by_state[STALE]:
        details.append(
            f"{name}: its result belongs to another model or other cases and does not count; run "
            f"`make parity {which} BOARD={name}` again."
        )
    if state != NOT_RUN:
        details += [
            f"{name}: parity has not been run: `make parity {which} BOARD={name}`."
            for name in by_state[NOT_RUN]
        ]
    if floats:
        details.insert(0, _float_sentence(floats))
    if far := {name: found["failures"] for name, found in floats.items() if found["failures"]}:
        details[:0] = [f"{name}: {line}." for name, lines in far.items() for line in lines]
        if state != DIFFERS:
            state = DIFFERS
            headline = f"Equal to int8, but too far from the float network on {join_words([*far])}"
    places = {n: b["features"]["first_difference"] for n, b in boards.items() if b["features"]}
    broken = {name: place for name, place in places.items() if place}
    for name, place in broken.items():
        details.insert(0, f"{name}: features differ first in {place['where']}, {place['stage']}.")
    if broken:
        state, headline = DIFFERS, f"The front end differs on {join_words(list(broken))}"
    return {"state": state, "headline": headline, "details": details}


def _float_sentence(floats: JsonObject) -> str:
    """How far the board that ran most cases is from the float network."""
    name = max(floats, key=lambda name: floats[name]["cases"])
    found = floats[name]
    if found["equal_decisions"] is None:
        targets = found.get("targets") or ()
        told = [f"{t['mean']:.2g} {t['unit']} of {t['target']}" for t in targets]
        what = join_words(told) or f"{found['outputs'][0]['mean']:.2g}"
        how = f"{name}: outputs differ by {what} on average from"
    else:
        share = found["equal_decisions"] / found["cases"]
        how = (
            f"{name} decides {found['equal_decisions']:,} of {found['cases']:,} cases "
            f"({share * 100:.1f} %){' by output 0' if len(found['outputs']) > 1 else ''} as"
        )
    random = "" if found["bounds"] else ", on random inputs, for which no network is made"
    return f"{how} {found['network']}{random}."


def _failures(name: str, board: JsonObject) -> list[str]:
    parity, lines = board["parity"], []
    if difference := parity["first_difference"]:
        lines.append(
            f"{name} on {runs_on(parity)}: {parity['equal']:,} of {parity['cases']:,} cases equal; "
            f"first difference in case {difference['case']}, output tensor {difference['tensor']}, "
            f"index {difference['index']}: expected {difference['expected']}, "
            f"got {difference['got']}."
        )
    elif parity["cases"] != parity["equal"] or not parity["cases"]:
        lines.append(f"{name}: {parity['equal']:,} of {parity['cases']:,} cases equal.")
    if failures := parity["selftest"]["failures"]:
        lines.append(
            f"{name}: the firmware's own self-test fails in {failures} of "
            f"{parity['selftest']['cases']} cases."
        )
    return lines


def _scope(parities: JsonObject) -> str:
    """What the equality covers: cases, reference and where it was obtained."""
    references = join_words(sorted({p["reference"] for p in parities.values()}))
    total = sum(p["cases"] for p in parities.values())
    targets = {name: _target(parity) for name, parity in parities.items()}
    real = [name for name, target in targets.items() if target == "port"]
    places = [f"on the real {join_words(real)}"] if real else []
    places += ["in emulation"] if "emulator" in targets.values() else []
    places += ["on this computer"] if "native" in targets.values() else []
    connected = "" if real else "; no real board was connected"
    return f"{total:,} inferences compared with {references}, {join_words(places)}{connected}."


def _ladder(content: JsonObject, floats: JsonObject) -> list[JsonObject]:
    """The seven rungs: what was compared with what, and the evidence that this run left."""
    targets: dict[str, JsonObject] = {"native": {}, "emulator": {}, "port": {}}
    for name, board in content["boards"].items():
        if board["parity"]:
            targets[_target(board["parity"])][name] = board
    which = make_variable(content)
    rungs = [
        ("float network", *_float_evidence(content["train"], floats)),
        (
            "int8 .tflite against the float network",
            *_fidelity_evidence(content["quantize"], floats),
        ),
        ("TFLite Micro interpreter, the reference of record", *_golden_evidence(content)),
        ("integer reference in Python, equal to 3", *_reference_evidence(content["manifest"])),
        (
            "C kernels on this computer, equal to 3",
            *_board_evidence(
                targets["native"],
                (NOT_RUN, f"`make parity {which} BOARD=native`"),
            ),
        ),
        (
            "the firmware in emulators, equal to 3",
            *_board_evidence(
                targets["emulator"],
                (NOT_RUN, f"`make parity {which} BOARD=nano33`"),
            ),
        ),
        (
            "the firmware on the real board, equal to 3",
            *_board_evidence(
                targets["port"],
                (HARDWARE, f"`make parity {which} BOARD=nano33 PORT=<port>`"),
            ),
        ),
    ]
    return [
        {"rung": number, "title": title, "state": state, "evidence": evidence}
        for number, (title, state, evidence) in enumerate(rungs, 1)
    ]


def _target(parity: JsonObject) -> str:
    """'port' (a real board), 'native' (this computer) or 'emulator'."""
    if parity["emulator"] is None:
        return "port"
    return "native" if parity["emulator"] == "native" else "emulator"


def _float_evidence(train: JsonObject | None, floats: JsonObject) -> tuple[str, list[str]]:
    if train is not None:
        score = headline(train["metrics"]["test"])
        return MEASURED, [f"{score.name} {score.text} on the test split"]
    if floats:
        return REFERENCE, sorted({found["network"] for found in floats.values()})
    return NOT_RUN, ["no training in this run, and no float network was given"]


def _fidelity_evidence(quantised: JsonObject | None, floats: JsonObject) -> tuple[str, list[str]]:
    """QAT's export beside the graph that was trained, and boards beside the float network."""
    evidence = []
    if quantised is not None and (fidelity := quantised.get("fidelity")):
        evidence.append(
            f"QAT: {fidelity['equal_share'] * 100:.2f} % of the outputs equal, at most "
            f"{fidelity['max_lsb']} LSB apart, in {fidelity['windows']:,} windows"
        )
    evidence += [f"{name}: {float_words(found)}" for name, found in floats.items()]
    if any(found["failures"] for found in floats.values()):
        return DIFFERS, evidence
    if not evidence:
        return NOT_RUN, ["nothing to compare with in this run"]
    return MEASURED, evidence


def float_words(found: JsonObject) -> str:
    """Decisions and noise of one board's comparison, with the cases that they are about."""
    parts = []
    if found["equal_decisions"] is not None:
        share = found["equal_decisions"] / found["cases"]
        which = " of output 0" if len(found["outputs"]) > 1 else ""
        parts.append(f"{share * 100:.1f} % of decisions{which} equal")
    for t in found.get("targets") or ():
        parts.append(f"{t['target']} differs by {t['mean']:.2g} {t['unit']}")
    differences = found["outputs"] if found["normal_outputs"] is None else found["normal_outputs"]
    noise = [o["sqnr_db"] for o in differences if o["sqnr_db"] is not None]
    if noise:
        parts.append(f"SQNR {min(noise):.1f} dB")
    return f"{', '.join(parts) or 'no difference'} in {found['cases']:,} cases"


def _golden_evidence(content: JsonObject) -> tuple[str, list[str]]:
    if not content["golden_cases"]:
        return NOT_RUN, ["no golden cases in this run"]
    return REFERENCE, [f"{content['golden_cases']:,} golden cases, every output byte kept"]


def _reference_evidence(manifest: JsonObject | None) -> tuple[str, list[str]]:
    if manifest is None:
        return NOT_RUN, ["the model has not been compiled: `make emit`"]
    checked = manifest["reference"]
    return PROVEN, [f"{checked['equal']:,} of {checked['cases']:,} golden cases equal"]


def _board_evidence(boards: JsonObject, hint: tuple[str, str]) -> tuple[str, list[str]]:
    evidence = []
    for name, board in boards.items():
        parity = board["parity"]
        old = "; of another model or other cases, does not count" if board["state"] == STALE else ""
        evidence.append(
            f"{name} ({runs_on(parity)}): {parity['equal']:,} of {parity['cases']:,} cases equal"
            + old
        )
    states = {board["state"] for board in boards.values()}
    if DIFFERS in states:
        return DIFFERS, evidence
    if EQUAL in states:
        return PROVEN, evidence
    return hint[0], [*evidence, hint[1]]
