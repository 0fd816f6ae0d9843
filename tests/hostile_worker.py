"""python -m tests.hostile_worker FOLDER: judge every model in it, each in its own process.

A .tflite goes the whole way to C, a network of Keras or a SavedModel through the worker's half of
quantize.convert, with as much memory as that has.

Prints one JSON object, file name -> [verdict, detail]:
'refused' our error; 'accepted' compiled into FOLDER/<stem>/, equal to TFLite Micro; 'differs' the
integer reference answers otherwise; 'wrong' another exception; 'died' a signal, time or memory.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import traceback
from pathlib import Path

from quantize.convert import kind_of
from quantize.errors import ModelError, QuantizeError
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.files import is_model_path, model_bytes
from quantize.tflite.reader import parse_model, read_model

MAX_BYTES = 500 << 20  # of address space beyond what an idle worker has
MAX_SECONDS = 2  # of processor time
NETWORK_SECONDS = 60
LONGEST = 2000  # characters of a message
CASES = 5


def judge(path: Path) -> tuple[str, str]:
    """The whole way from a file to C, in this process."""
    try:
        data = model_bytes(path)
        graph = parse_model(data)
        compile_graph(graph)
        golden = make_golden(data, random_inputs(graph, CASES, 0))
        compile_model(data, golden, path.with_suffix(""), name=path.stem, settings={})
    except ModelError as error:
        return "refused", str(error)
    except QuantizeError as error:
        return "differs", str(error)
    except BaseException:
        return "wrong", traceback.format_exc(limit=-4)
    return "accepted", ""


def judge_network(path: Path) -> tuple[str, str]:
    """From a float network to a float .tflite that our reader takes, as in quantize.convert."""
    from quantize.convert_worker import to_float
    from quantize.float_worker import answered

    work = path.with_name(f"{path.name}.work")
    work.mkdir()
    tempfile.tempdir = str(work)
    os.environ["TMPDIR"] = str(work)
    try:
        answered(work, lambda: to_float(kind_of(path), path, work))
        answer = json.loads((work / "answer.json").read_text("utf-8"))
        if "error" not in answer:
            read_model(work / "float.tflite")
    except ModelError as error:
        return "refused", str(error)
    except BaseException:
        return "wrong", traceback.format_exc(limit=-4)
    if "error" in answer and not 0 < len(answer["error"]) < LONGEST:
        return "wrong", f"a message of {len(answer['error'])} characters"
    return ("refused", answer["error"]) if "error" in answer else ("accepted", "")


def limit_memory() -> None:
    """Let this process have MAX_BYTES more of address space; what wants more is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    space = pages * resource.getpagesize() + MAX_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (space, space))


def _limit(network: bool) -> None:
    seconds = NETWORK_SECONDS if network else MAX_SECONDS
    if not network:
        limit_memory()
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def judge_apart(path: Path) -> tuple[str, str]:
    """The same in a child with limits, which may die without harm."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # TFLite Micro prints what it refuses
        network = path.suffix != ".tflite"
        _limit(network)
        os.write(into, json.dumps((judge_network if network else judge)(path)).encode()[:60000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return "died", signal.Signals(os.WTERMSIG(status)).name
    verdict, detail = json.loads(said)
    return verdict, detail


def main(folder: Path) -> None:
    """Judge a folder; the interpreters are loaded once, before the first fork."""
    from tflite_micro import runtime  # noqa: F401

    files = sorted(path for path in folder.iterdir() if is_model_path(path))
    if any(path.suffix != ".tflite" for path in files):
        import keras  # noqa: F401

        from model.networks import tf  # noqa: F401
    print(json.dumps({path.name: judge_apart(path) for path in files}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
