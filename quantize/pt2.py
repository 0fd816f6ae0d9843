"""A PyTorch program (.pt2) without what would run code of the file when PyTorch reads it.

torch.export.load unpickles tensors, constants and sample inputs, evaluates the expressions of open
shapes, looks up functions by name and generates Python from names of nodes. So nothing reaches it
but what is known here: operators of aten, arrays as they lie in memory, plain names and numbers.
"""

from __future__ import annotations

import io
import json
import lzma
import re
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

from model.text import brief
from quantize.errors import ModelError

MAX_BYTES = 256 << 20  # of a file, packed and unpacked
MAX_MEMBERS = 4096
MAX_JSON = 32 << 20
MODEL = "models/model.json"
CONFIGS = ("data/weights/model_weights_config.json", "data/constants/model_constants_config.json")
SAMPLES = "data/sample_inputs/model.pt"  # a pickle; an empty one says that there are none
_KEPT = re.compile(
    r"archive_format|archive_version|byteorder|\.data/(version|serialization_id)"
    r"|data/(weights/weight|constants/tensor)_[0-9]{1,6}"
)
_NAME = re.compile(r"[A-Za-z0-9_.]{0,200}", re.ASCII)
_TARGET = re.compile(r"torch\.ops\.aten\._?[a-z][a-z0-9_]*\.[A-Za-z][A-Za-z0-9_]*", re.ASCII)
_OPENS_FILES = ("from_file",)
_ARGUMENTS = {
    "as_none", "as_tensor", "as_tensors", "as_int", "as_ints", "as_float", "as_floats", "as_bool",
    "as_bools", "as_string", "as_strings", "as_scalar_type", "as_layout", "as_memory_format",
    "as_device", "as_optional_tensor", "as_optional_tensors", "as_nested_tensors",
}  # fmt: skip
_NAMES = {
    "name", "parameter_name", "buffer_name", "tensor_constant_name", "fqn", "forward_arg_names",
    "path_name", "type", "torch_version", "verifiers",
}  # fmt: skip
_TREES = {None, "builtins.tuple", "builtins.list", "builtins.dict"}
_EMPTY = (  # what only code, open shapes and objects of Python need
    "range_constraints", "sym_int_values", "sym_bool_values", "sym_float_values",
    "custom_obj_values", "treespec_namedtuple_fields",
)  # fmt: skip
AGAIN = (
    "write the network again with torch.export.save(torch.export.export(network.eval(), "
    "(example,)), 'model.pt2'), with fixed shapes, on the CPU"
)


def clean_program(path: Path) -> bytes:
    """The file with its arrays and its checked graph, and nothing else.

    Raises ModelError that names what is not loaded.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _rewritten(archive, str(path))
    except (
        *(zipfile.BadZipFile, zlib.error, ValueError, KeyError, TypeError, AttributeError),
        *(EOFError, NotImplementedError, RecursionError, RuntimeError, OSError, MemoryError),
        *(OverflowError, struct.error, lzma.LZMAError),
    ) as error:
        raise ModelError(f"{path}: not a whole .pt2 file: {brief(error)}; {AGAIN}") from error


def _rewritten(archive: zipfile.ZipFile, path: str) -> bytes:
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if len(members) > MAX_MEMBERS or total > MAX_BYTES:
        raise ModelError(
            f"{path}: {len(members)} files of {total:,} bytes; expected at most {MAX_MEMBERS} of "
            f"{MAX_BYTES:,}"
        )
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as copy:
        for member in members:
            name = member.filename.partition("/")[2]
            if name in (MODEL, *CONFIGS):
                data = json.dumps(_checked_json(archive, member, path, name)).encode()
            elif name == SAMPLES:
                data = b""
            elif _KEPT.fullmatch(name):
                data = archive.read(member)
            else:
                raise ModelError(
                    f"{path}: {member.filename[:80]!r} is not loaded: it may hold code or pickles; "
                    f"{AGAIN} (PyTorch 2.9 or later)"
                )
            copy.writestr(f"model/{name}", data)
    return out.getvalue()


def _checked_json(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str, name: str) -> Any:
    if member.file_size > MAX_JSON:
        raise ModelError(f"{path}: {name} has {member.file_size:,} bytes; at most {MAX_JSON:,}")
    content = json.loads(archive.read(member))
    if name == MODEL:
        content["guards_code"] = []  # Python that PyTorch would run
    _check(content, "", f"{path}: {name}")
    return content


def _check(value: Any, key: str, where: str) -> None:
    """Refuse whatever is not known to be harmless; metadata is emptied. As deep as JSON may be."""
    if isinstance(value, dict):
        for own, inner in value.items():
            if own == "metadata" and isinstance(inner, dict):
                value[own] = {}  # traces of the source
                continue
            wrong = not _NAME.fullmatch(own) or (own.startswith("as_") and own not in _ARGUMENTS)
            if wrong or (own in _EMPTY and inner) or (own == "use_pickle" and inner is not False):
                raise _refused(where, own, inner)
            _check(inner, own, where)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, key, where)
    elif isinstance(value, str) and not _is_fine(key, value):
        raise _refused(where, key, value)


def _is_fine(key: str, text: str) -> bool:
    if key in ("in_spec", "out_spec"):
        return _is_tree(json.loads(text))
    if key == "target":
        return bool(_TARGET.fullmatch(text)) and text.split(".")[3] not in _OPENS_FILES
    if key in ("as_string", "as_strings"):
        return len(text) < 200
    if key == "torch_version":
        return len(text) < 80
    return key in _NAMES and bool(_NAME.fullmatch(text))


def _is_tree(spec: Any) -> bool:
    """Whether a description of how arguments are nested names only tuples, lists and dicts."""
    if isinstance(spec, list):
        return all(_is_tree(part) for part in spec)
    if isinstance(spec, dict):
        return spec.get("type") in _TREES and _is_tree(spec.get("children_spec", []))
    return isinstance(spec, int)


def _refused(where: str, key: str, value: Any) -> ModelError:
    return ModelError(
        f"{where}: {key[:60]!r} with the value {json.dumps(value)[:80]} is not loaded, because it "
        f"may run code of the file or leave shapes open; {AGAIN}"
    )
