"""Damaged and malicious networks of Keras and SavedModels, and what becomes of them.

Made by hand (BY_HAND), or drawn: a byte, a value of the description, an operator of the graph.
"""

from __future__ import annotations

import collections
import io
import json
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.host_c import ROOT
from tests.hostile_inputs import damaged_tree

Rng = np.random.Generator
Counts = collections.Counter[str]
BATCH = 40  # files that one worker judges
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 2**31, 2**70, 1e999, "", "os.system", "a" * 999, "\x1b[31m", [], {},
    [[]] * 50, {"class_name": "Lambda", "config": {}}, {"class_name": ["x"], "config": 1},
    {"module": "os", "class_name": "system", "config": {}, "registered_name": None}, [None, 10**9],
)  # fmt: skip
OPERATORS = (
    "EagerPyFunc", "WriteFile", "SaveV2", "MergeV2Checkpoints", "ReadFile", "PrintV2", "Abort",
    "Placeholder", "NoSuch", "RandomUniform", "Where", "While", "Tile", "Fill", "LookupTableFindV2",
)  # fmt: skip


def make_valid(folder: Path) -> None:
    """net.keras, old.keras (of Keras 2), net.h5, net2.h5 and saved/, of one small network."""
    import keras as three

    from model.networks import keras, tf

    for kit, names in ((three, ("net.keras", "net.h5")), (keras, ("old.keras", "net2.h5"))):
        kit.utils.set_random_seed(1)
        parts = [kit.layers.Dense(3, activation="relu", name="a"), kit.layers.Dense(2, name="b")]
        network = kit.Sequential([kit.layers.Input((4,), name="x"), *parts])
        for name in names:
            network.save(folder / name)
    tf.saved_model.save(network, str(folder / "saved"))


def members(data: bytes) -> dict[str, bytes]:
    """A .keras file as name -> bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes], more: tuple[tuple[str, bytes], ...] = ()) -> bytes:
    """A .keras file of its members, and others that may have the same names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (*content.items(), *more):
            archive.writestr(name, data)
    return stream.getvalue()


def described(data: bytes, change: Callable[[Any], Any]) -> bytes:
    """A .keras file with another description of its layers."""
    content = members(data)
    content["config.json"] = json.dumps(change(json.loads(content["config.json"]))).encode()
    return packed(content)


def _layer(config: Any, **values: Any) -> Any:
    """Other values of the last layer's own description."""
    config["config"]["layers"][-1]["config"] |= values
    return config


def _class(config: Any, **values: Any) -> Any:
    config["config"]["layers"][-1] |= values
    return config


def _weights(data: bytes, change: Callable[[Any], None]) -> bytes:
    """A .keras or .h5 file with other arrays."""
    import h5py

    archive = data[:2] == b"PK"
    content = members(data) if archive else {}
    stream = io.BytesIO(content["model.weights.h5"] if archive else data)
    with h5py.File(stream, "r+") as file:
        change(file)
    if not archive:
        return stream.getvalue()
    content["model.weights.h5"] = stream.getvalue()
    return packed(content)


def _array(file: Any) -> tuple[Any, str]:
    """(folder, name) of an array with more than one dimension."""
    import h5py

    found: list[tuple[Any, str]] = []

    def visit(_: str, entry: Any) -> None:
        if isinstance(entry, h5py.Dataset) and len(entry.shape) == 2:
            found.append((entry.parent, entry.name.rsplit("/", 1)[1]))

    file.visititems(visit)
    return found[0]


def _replaced(make: Callable[[Any, str], None]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        folder, name = _array(file)
        del folder[name]
        make(folder, name)

    return change


def _link(kind: str) -> Callable[[Any, str], None]:
    def make(folder: Any, name: str) -> None:
        import h5py

        links = {
            "external": lambda: h5py.ExternalLink("/etc/passwd", "/"),
            "soft": lambda: h5py.SoftLink("/"),
            "dangling": lambda: h5py.SoftLink("/nowhere"),
        }
        folder[name] = links[kind]()

    return make


def _stored_elsewhere(folder: Any, name: str) -> None:
    folder.create_dataset(name, (4, 3), "f4", external=[("/etc/passwd", 0, 48)])


def _virtual(folder: Any, name: str) -> None:
    import h5py

    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    folder.create_virtual_dataset(name, layout)


def _huge(folder: Any, name: str) -> None:
    folder.create_dataset(name, (1 << 20, 1 << 20), "f4", chunks=(1 << 10, 1 << 10))


def _circle(file: Any) -> None:
    file["round"] = file["/"]


def _not_finite(file: Any) -> None:
    folder, name = _array(file)
    folder[name][:] = np.nan


ELSEWHERE: dict[str, Callable[[Any], None]] = {
    "external link": _replaced(_link("external")),
    "soft link": _replaced(_link("soft")),
    "dangling link": _replaced(_link("dangling")),
    "stored elsewhere": _replaced(_stored_elsewhere),
    "virtual": _replaced(_virtual),
    "array of 4 TiB": _replaced(_huge),
}
KERAS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "unchanged": (lambda d: d, "accepted"),
    "empty": (lambda d: b"", "ile"),
    "bomb": (lambda d: packed(members(d), (("assets/b", bytes(300 << 20)),)), "when unpacked"),
    "bomb under one name": (
        lambda d: packed(members(d), (("assets/b", bytes(200 << 20)), ("assets/b", b""))),
        "two of its members have one name",
    ),
    "two descriptions": (
        lambda d: packed(members(d), (("config.json", b"{}"),)),
        "two of its members have one name",
    ),
    "no description": (
        lambda d: packed({k: v for k, v in members(d).items() if k != "config.json"}),
        "is missing",
    ),
    "description of 9 MB": (lambda d: described(d, lambda c: c | {"x": "a" * (9 << 20)}), "when u"),
    "nested": (
        lambda d: packed(members(d) | {"config.json": b"[" * 1_000_000}),
        "its description is damaged",
    ),
    "a list": (lambda d: described(d, lambda c: [c]), "not an object of JSON"),
    "a Lambda": (lambda d: described(d, lambda c: _class(c, class_name="Lambda")), "'Lambda'"),
    "a function": (
        lambda d: described(
            d,
            lambda c: _layer(
                c, activation={"module": "builtins", "class_name": "function", "config": "eval"}
            ),
        ),
        "the layer or function 'function'",
    ),
    "of another module": (lambda d: described(d, lambda c: _class(c, module="os.path")), "'os."),
    "units of 2**40": (lambda d: described(d, lambda c: _layer(c, units=2**40)), ""),
    "units below 0": (lambda d: described(d, lambda c: _layer(c, units=-1)), ""),
    "a name that leaves": (
        lambda d: packed(members(d), (("../../../../tmp/tinyproof_left", b"x"),)),
        "accepted",
    ),
    "a pickle among the assets": (
        lambda d: packed(members(d), (("assets/a.npz", b"\x80\x04cos\nsystem\n."),)),
        "accepted",
    ),
    **{
        what: (lambda d, change=change: _weights(d, change), told)
        for (what, change), told in zip(
            ELSEWHERE.items(),
            [*["is a link"] * 3, *["in another file"] * 2, "bytes of them"],
            strict=True,
        )
    },
    "folder in itself": (lambda d: _weights(d, _circle), "accepted"),
    "not finite": (lambda d: _weights(d, _not_finite), "accepted"),
}


ARRAYS = ("empty", *[*KERAS][[*KERAS].index("external link") :])  # also of .h5


def _nodes(meta: Any) -> list[Any]:
    return [n for f in meta.graph_def.library.function for n in f.node_def]


def saved_model(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the only graph of a SavedModel."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString(path.read_bytes())
    change(saved.meta_graphs[0])
    path.write_bytes(saved.SerializeToString())


def _renamed(op: str, rng: Rng | None = None) -> Callable[[Any], None]:
    """Another operator in place of one that computes."""

    def change(meta: Any) -> None:
        nodes = [n for n in _nodes(meta) if n.op in ("MatMul", "BiasAdd", "Relu")]
        nodes[0 if rng is None else int(rng.integers(len(nodes)))].op = op

    return change


def _writes_when_called(meta: Any) -> None:
    """The function of the signature also saves a checkpoint."""
    functions = meta.graph_def.library.function
    (save,) = (f for f in functions if any(n.op == "SaveV2" for n in f.node_def))
    wrapper = next(f for f in functions if "signature_wrapper" in f.signature.name)
    node = wrapper.node_def.add()
    node.name, node.op = "more", "StatefulPartitionedCall"
    node.attr["f"].func.name = save.signature.name


def _writes_when_loaded(meta: Any) -> None:
    """A SavedModel of TensorFlow 1 whose first operator saves."""
    meta.ClearField("object_graph_def")
    node = meta.graph_def.node.add()
    node.name, node.op = "first", "SaveV2"
    meta.collection_def["saved_model_main_op"].node_list.value[:] = ["first"]


def _asset(meta: Any) -> None:
    entry = meta.asset_file_def.add()
    entry.filename, entry.tensor_info.name = "/etc/passwd", "x:0"


def _pipe(folder: Path) -> None:
    (folder / "assets").mkdir(exist_ok=True)
    os.mkfifo(folder / "assets" / "pipe")


def _cut(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return change


DOES_MORE = "does more than compute"
SAVED: dict[str, tuple[Callable[[Path], None], str]] = {
    "unchanged": (lambda f: None, "accepted"),
    "calls Python": (lambda f: saved_model(f, _renamed("EagerPyFunc")), DOES_MORE),
    "writes a file": (lambda f: saved_model(f, _renamed("WriteFile")), DOES_MORE),
    "saves when called": (lambda f: saved_model(f, _writes_when_called), DOES_MORE),
    "saves when loaded": (lambda f: saved_model(f, _writes_when_loaded), DOES_MORE),
    "unknown operator": (lambda f: saved_model(f, _renamed("NoSuch")), ""),
    "asset elsewhere": (lambda f: saved_model(f, _asset), "accepted"),
    "a pipe": (_pipe, "neither a file nor a folder"),
    "half a graph": (_cut("saved_model.pb"), ""),
    "half the variables": (_cut("variables/variables.data-00000-of-00001"), ""),
}


# --- drawn ----------------------------------------------------------------------------------------


def _flip(path: Path, rng: Rng) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(1, 6))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    path.write_bytes(bytes(data))


def draw(valid: Path, kind: str, path: Path, rng: Rng) -> None:
    """One hostile network of a kind at `path`, which has no suffix yet."""
    if kind == "saved_model":
        shutil.copytree(valid / "saved", path)
        if rng.random() < 0.5:
            saved_model(path, _renamed(str(rng.choice(OPERATORS)), rng))
        else:
            files = sorted(p for p in path.rglob("*") if p.is_file())
            _flip(files[int(rng.integers(len(files)))], rng)
        return
    names = {"keras": ["net.keras", "old.keras"], "h5": ["net.h5", "net2.h5"]}
    name = str(rng.choice(names[kind]))
    data, target = (valid / name).read_bytes(), path.with_suffix(Path(name).suffix)
    if kind == "keras" and rng.random() < 0.7:
        data = described(data, lambda c: damaged_tree(c, rng, ODD))
    elif kind == "keras" and rng.random() < 0.7:
        content = members(data)
        weights = bytearray(content["model.weights.h5"])
        for _ in range(int(rng.integers(1, 6))):
            weights[int(rng.integers(len(weights)))] = int(rng.integers(256))
        content["model.weights.h5"] = bytes(weights)
        data = packed(content)
    target.write_bytes(data)
    if kind == "h5":
        _flip(target, rng)


def judged(folder: Path, timeout: float = 600) -> dict[str, tuple[str, str]]:
    """What tests.hostile_worker says of all networks in a folder, by their names."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.hostile_worker", str(folder)],
        cwd=ROOT,
        capture_output=True,
        timeout=timeout,
        check=True,
    )
    return {name: (v[0], v[1]) for name, v in json.loads(run.stdout).items()}


def apart(kind: str, seconds: float, folder: Path, seed: int) -> Counts:
    """Draw networks for a while; the number of each verdict."""
    counts: Counts = collections.Counter()
    valid, until = folder / "valid", time.monotonic() + seconds
    if not valid.exists():
        valid.mkdir()
        make_valid(valid)
    while time.monotonic() < until:
        batch = folder / f"{kind}_{seed}"
        batch.mkdir()
        for number in range(BATCH):
            rng = np.random.default_rng([seed, number])
            draw(valid, kind, batch / f"n{number}", rng)
        verdicts = judged(batch)
        counts.update(said for said, _ in verdicts.values())
        bad = {k: v for k, v in verdicts.items() if v[0] not in ("accepted", "refused", "died")}
        for name, (said, detail) in bad.items():
            print(f"{batch / name}: {said}: {detail}")
        if not bad:
            shutil.rmtree(batch)
        seed += 1
    return counts
