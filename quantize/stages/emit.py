"""Compile the model of a folder into its gen/<set>, for every set of kernels."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.decide import load_rule
from model.files import write_text
from model.recipe import Recipe
from model.tasks import ClassJudge, load_judge, task_of
from quantize.answers import emit_answers
from quantize.drift import emit_drift, load_profile
from quantize.emit_tflm import emit_tflm
from quantize.golden import load_golden
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.timings import CHIPS


def emit(
    out_dir: Path,
    name: str,
    recipe: Recipe | None,
    constants_bytes: int | None,
    ram_bytes: int | None,
) -> None:
    """Write C, the TFLite Micro array and the manifest of every set; all sets or none change.

    `constants_bytes` bounds the constants, `ram_bytes` the arena. Raises ModelError for a
    model that does not compile, QuantizeError for a budget that is too small.
    """
    model = (out_dir / "model.tflite").read_bytes()
    labels: list[str] = []
    more: dict[str, str] = {}
    if recipe is not None:
        found = json.loads((out_dir / "dataset.json").read_text("utf-8"))["labels"]
        labels = list(task_of(recipe, found).predictions)
        more = emit_drift(load_profile(out_dir / "profile.json"), model, name)
        judge = load_judge(out_dir, recipe.as_dict(), len(labels))
        rule = None
        if isinstance(judge, ClassJudge):
            rule = load_rule(out_dir, hashlib.sha256(model).hexdigest())
        more |= emit_answers(judge, labels, name, rule)
    with tempfile.TemporaryDirectory(prefix=".gen-", dir=out_dir) as folder:
        manifests = compile_sets(
            model,
            load_golden(out_dir / "golden.npz"),
            {kernels: Path(folder) / "gen" / kernels for kernels in KERNEL_SETS},
            name=name,
            settings=recipe.as_dict() if recipe else {},
            labels=labels,
            constants_bytes=constants_bytes,
            ram_bytes=ram_bytes,
            recipe=recipe,
        )
        for kernels in manifests:
            for file, text in more.items():
                write_text(Path(folder) / "gen" / kernels / file, text)
        if (out_dir / "gen").exists():
            (out_dir / "gen").rename(Path(folder) / "old")
        (Path(folder) / "gen").rename(out_dir / "gen")
    for kernels, manifest in manifests.items():
        arena, bound = manifest["arena_bytes"], manifest["arena_lower_bound"]
        proven = "no plan of these calls is below" if arena == bound else f"none below {bound}"
        print(
            f"{name}, kernels {kernels}: {manifest['macs']} MACs, {manifest['weight_bytes']} bytes "
            f"of constants, arena {arena} bytes ({proven}; TFLite Micro's interpreter takes "
            f"{manifest['tflm_arena_bytes']}){_cycles(kernels, manifest)}, run {manifest['run_id']}"
        )


def _cycles(kernels: str, manifest: Mapping[str, Any]) -> str:
    """What an inference takes on the chip that a set is for, as its kernels were chosen by."""
    found = [o["estimate"]["cycles"] for o in manifest["operators"] if o["estimate"]]
    if kernels not in CHIPS or not found:
        return ""
    chip, _ = CHIPS[kernels]
    left = sum(o["step"] is not None and not o["estimate"] for o in manifest["operators"])
    without = f" without {left} of its operators" if left else ""
    return f", {chip} about {sum(found):,} cycles by estimate{without}"


def emit_engine(out_dir: Path, arena_bytes: int | None) -> None:
    """Write gen-tflm of a folder whose gen/ref is there; raises as emit_tflm does."""
    found = emit_tflm(out_dir, arena_bytes)
    print(
        f"{found['name']}, TFLite Micro: {len(found['operators'])} operators, "
        f"{found['weight_bytes']} bytes of g_model, arena {found['arena_bytes']} bytes (the host's "
        f"interpreter takes {found['tflm_arena_bytes']}), run {found['run_id']}"
    )
