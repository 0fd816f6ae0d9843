"""What C, assembly language and the generator say about the same layouts agrees."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from quantize import emit_c, linear, lowering
from quantize.golden import make_golden, random_inputs
from quantize.lowering import (
    conv_cortex_m as conv,
)
from quantize.lowering import (
    conv_wide_cortex_m as conv_wide,
)
from quantize.lowering import (
    conv_xtensa as trio,
)
from quantize.lowering import (
    dense_cortex_m as dense,
)
from quantize.lowering import (
    dense_mac16,
    depthwise_mac16,
    offsets,
    products,
    split,
    windows,
)
from quantize.lowering import (
    dense_xtensa as dense_bytes,
)
from quantize.lowering import (
    depthwise_cortex_m as depthwise,
)
from quantize.lowering import (
    depthwise_lines as lines,
)
from quantize.lowering import (
    depthwise_wide_cortex_m as depthwise_wide,
)
from quantize.lowering import (
    depthwise_xtensa as line,
)
from quantize.lowering import (
    mono_cortex_m as mono,
)
from quantize.lowering import (
    rows_cortex_m as rows,
)
from quantize.lowering import (
    winograd_cortex_m as winograd,
)
from quantize.lowering.base import ALIGNMENT
from quantize.manifest import compile_sets
from quantize.ops.base import c_shape, requant_constant
from quantize.ops.window import Window
from quantize.scheme import Requant
from quantize.tflite.reader import parse_model
from tests.bench_models import Network
from tests.factory_state import lstm
from tests.host_c import KERNELS, kernel_sources
from tests.layers import convolutions, dense_layers
from tests.native_app import SANITIZERS, compile_c
from tests.packed_rows import INT16_ROWS, ROWS, rows_model
from tests.sweeps import sweep
from tests.test_arenas import NARROWING, narrowing
from tests.test_lowering_mac16 import NAMES as MAC16_NAMES
from tests.test_lowering_mac16 import mac16_model
from tests.test_lowering_xtensa import CONVOLUTIONS, DENSE, DEPTHWISE
from tests.test_matmul import product
from tests.test_transpose_conv import LAYERS, layer

CORES = {
    "armv7em": ["arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb"],
    "xtensa": ["xtensa-lx106-elf-gcc"],
    "xtensa_mac16": ["xtensa-lx106-elf-gcc"],
}
DEFINE = re.compile(r"^#define (NN_\w+) (\d+)", re.MULTILINE)
OFFSETS = [
    (kernels, name)
    for kernels in CORES
    for name, _ in DEFINE.findall((KERNELS / kernels / "layout" / "nn_offsets.h").read_text())
]


def accepts(kernels: str, folder: Path) -> bool:
    """Whether the core's compiler takes nn_offsets.c in `folder`."""
    command = [
        *CORES[kernels],
        "-std=c11",
        "-fsyntax-only",
        f"-I{KERNELS}",
        folder / "nn_offsets.c",
    ]
    return subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0


@pytest.mark.parametrize(("kernels", "name"), OFFSETS)
def test_a_wrong_offset_does_not_compile(kernels: str, name: str, tmp_path: Path) -> None:
    for source in (KERNELS / kernels / "layout").iterdir():
        (tmp_path / source.name).write_text(source.read_text())
    assert accepts(kernels, tmp_path)
    header = tmp_path / "nn_offsets.h"
    changed = re.sub(
        rf"(#define {name}) (\d+)", lambda m: f"{m[1]} {int(m[2]) + 4}", header.read_text()
    )
    header.write_text(changed)
    assert not accepts(kernels, tmp_path)


@pytest.mark.parametrize("kernels", CORES)
def test_assembly_language_reads_fields_by_name(kernels: str) -> None:
    """r0 and r1, or a2, point to parameters when a function begins."""
    number = re.compile(r"\[r[01], #\d|^\s+l32i(?:\.n)? a\d+, a2, \d", re.MULTILINE)
    begin = re.compile(r"^(?:nn_\w+_s(?:8|16)|FUNCTION):\n(.*?)^\.L", re.MULTILINE | re.DOTALL)
    for path in sorted((KERNELS / kernels).glob("*.S")):
        for body in begin.findall(path.read_text()):
            assert not number.search(body), path.name


def units(name: str) -> int:
    """UNITS of a file in assembly language."""
    return int(re.findall(r"#define UNITS (\d+)", (KERNELS / "armv7em" / name).read_text())[0])


ROW = split.SplitRequant(
    minimum=1, maximum=2, high=3, mid=4, low=5, shift=6, constant=7, signs=(8, 9)
)  # fmt: skip
KEPT = products.ProductRequant(
    origin=0, high=2, mid=3, or_more=4, shift=5, below=6, kept=(7, 8)
)  # fmt: skip
WINDOW = Window(kernel=(1, 2), stride=(3, 4), dilation=(5, 6), pad=(7, 8))
# C -> what the generator takes for it
NUMBERS: dict[str, int] = {
    "NN_QUAD": conv.QUAD,
    "NN_ALIGNMENT": ALIGNMENT,
    "NN_GROUP": dense.GROUP,
    "NN_EIGHT": dense.EIGHT,
    "NN_GROUP + 0": depthwise.GROUP,
    "4 * NN_CHANNEL_WORDS": depthwise.CHANNEL_BYTES,
    "4 * NN_WIDE_CHANNEL_WORDS": depthwise_wide.CHANNEL_BYTES,
    "4 * NN_COLUMN_WORDS": depthwise.COLUMN_BYTES,
    "4 * NN_RING_PAIR_WORDS": depthwise.PAIR_BYTES,
    "NN_TAP_BYTES": depthwise.WINDOW**2,
    "NN_GROUP_WORDS": len(
        depthwise._stream(np.zeros((4, 2), np.int64), np.zeros((4, 9), np.int64)).values
    ),
    "4 * NN_STEP_WORDS": lines.STEP_BYTES,
    "NN_LEAST_BITS": offsets.LEAST_BITS,
    "NN_SIGN_BITS": depthwise.SIGN_BITS,
    "NN_CODE_BITS": offsets.SHIFT,
    "NN_WINDOW_ROWS": lines.WINDOW_ROWS,
    "4 * NN_MONO_WORDS": mono.CHANNEL_BYTES,
    "NN_MONO_TAPS": mono.WINDOW**2 + 1,
    "4 * NN_GROUP": lines.PAIR_BYTES,
    "NN_QUAD + 0": rows.FOUR,
    "NN_WINOGRAD_PHASES": winograd.PHASES,
    "NN_WINOGRAD_STEPS": winograd.STEPS,
    "NN_TRIO_PIXELS": trio.PIXELS,
    "NN_MID_BITS": split.MID_BITS,
    "NN_LOW_BITS": split.LOW_BITS,
    "NN_LINEAR_SHIFT": linear.SHIFT,
    "NN_WIDE_WORDS": conv_wide.WORDS["packed"],
    "NN_LONG_WORDS": conv_wide.WORDS["long"],
    "NN_WIDE_GROUP_WORDS": depthwise_wide.WORDS,
    "sizeof(nn_short_t) / 4": len(ROW.short()),
    "sizeof(nn_exact_t) / 4": len(ROW.exact()),
    "sizeof(nn_exact_t)": dense_bytes._exact_constant((ROW,)).bytes,
    "sizeof(nn_line_channel_t) / 4": 1 + len(ROW.exact()),
    "sizeof(((nn_line_t *)0)->outputs) / 4 + 1": line.GROUP,
    "NN_MAC_STEP": windows.STEP,
    "NN_MAC_KEPT": products.KEPT,
    "NN_MAC_BY_SIGN": products.BY_SIGN,
    "NN_NINE_WORDS": depthwise_mac16.WEIGHT_WORDS,
    "sizeof(nn_mac_kept_t)": dense_mac16._numbers((KEPT,)).bytes,
    "sizeof(nn_requant_t)": requant_constant((Requant(multiplier=1, shift=2),)).bytes,
}
# an initialiser without names, and the fields in the order of its values 1, 2, 3, ...
INITIALISERS = {
    "nn_exact_t": (ROW.exact(), "least most high mid low shift constant or_more below"),
    "nn_mac_kept_t": (
        dense_mac16._numbers((KEPT,)).values[0].replace("{0,", "{1,").replace("101", "5"),
        "mac.first mac.high mac.mid mac.or_more mac.shift below least most",
    ),
    "nn_shape_t": (c_shape((1, 2, 3, 4)), "n h w c"),
    "nn_window_t": (
        WINDOW.c_initialiser(),
        "kernel_h kernel_w stride_h stride_w dilation_h dilation_w pad_h pad_w",
    ),
    "nn_row_pairs_t": ("{1, 2, 3, 4}", "count rows a_step b_step"),
    "nn_requant_t": (
        requant_constant((Requant(multiplier=1, shift=2),)).values[0],
        "multiplier shift",
    ),
}


def test_numbers_of_the_generator_are_those_of_c(tmp_path: Path) -> None:
    checks = [f'check({c} == {number}, "{c}");' for c, number in NUMBERS.items()]
    for ctype, (values, fields) in INITIALISERS.items():
        text = values if isinstance(values, str) else "{" + ", ".join(map(str, values)) + "}"
        checks.append(f"static const {ctype} v_{ctype} = {text};")
        checks += [
            f'check(v_{ctype}.{field} == {k}, "{ctype}.{field}");'
            for k, field in enumerate(fields.split(), 1)
        ]
    source = tmp_path / "numbers.c"
    source.write_text(
        '#include <stdio.h>\n#include "armv7em/layout/nn_offsets.h"\n#include "nn_kernels.h"\n'
        "static int wrong;\nstatic void check(int good, const char *what)\n"
        "{\n    if (!good) {\n        wrong = 1;\n        puts(what);\n    }\n}\n"
        "int main(void)\n{\n" + "\n".join(checks) + "\nreturn wrong;\n}\n"
    )
    program = compile_c(tmp_path / "numbers", [source], [f"-I{KERNELS}"])
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert units("nn_depthwise_frame.inc") == depthwise.UNITS
    assert units("nn_depthwise_lines.inc") == lines.UNITS


MAIN = """
#include <stdlib.h>
#include <string.h>
#include "model.h"

void *scratch_of(size_t bytes);

/* Nothing lies behind it, or the arena, but what the sanitizer watches. */
void *scratch_of(size_t bytes)
{
    static void *scratch;
    free(scratch);
    scratch = malloc(bytes);
    return scratch;
}

int main(void)
{
    static uint8_t *arena;
    arena = aligned_alloc(16, MODEL_ARENA_BYTES);
    for (uint32_t run = 0; run < MODEL_GOLDEN_COUNT; run++) {
        const uint8_t *from = model_golden_inputs[run];
        model_reset(arena);
        for (uint32_t i = 0; i < MODEL_INPUT_COUNT; from += model_inputs[i++].bytes) {
            memcpy(&arena[model_inputs[i].offset], from, model_inputs[i].bytes);
        }
        model_invoke(arena);
        from = model_golden_outputs[run];
        for (uint32_t i = 0; i < MODEL_OUTPUT_COUNT; from += model_outputs[i++].bytes) {
            if (memcmp(&arena[model_outputs[i].offset], from, model_outputs[i].bytes) != 0) {
                return 1;
            }
        }
    }
    return 0;
}
"""
# kernels with scratch -> their set
SCRATCH = {
    "nn_conv_2d_few_s8": "armv7em",
    "nn_conv_2d_fours_s8": "armv7em",
    "nn_conv_2d_fours_in_ram_s8": "armv7em",
    "nn_conv_2d_packed_s8": "armv7em",
    "nn_conv_2d_points_s8": "armv7em",
    "nn_conv_2d_single_s8": "armv7em",
    "nn_conv_2d_rows_s8": "armv7em",
    "nn_conv_2d_packed_in_ram_s8": "armv7em",
    "nn_conv_2d_points_in_ram_s8": "armv7em",
    "nn_conv_2d_rows_in_ram_s8": "armv7em",
    "nn_conv_2d_mono_s8": "armv7em",
    "nn_depthwise_lines_s8": "armv7em",
    "nn_depthwise_rows_s8": "armv7em",
    "nn_depthwise_conv_2d_packed_s8": "armv7em",
    "nn_fully_connected_wide_s8": "armv7em",
    "nn_lstm_packed_s8": "armv7em",
    "nn_conv_2d_long_s16": "armv7em",
    "nn_conv_2d_packed_s16": "armv7em",
    "nn_depthwise_conv_2d_packed_s16": "armv7em",
    "nn_batch_matmul_packed_s8": "armv7em",
    "nn_transpose_conv_packed_s8": "armv7em",
    "nn_conv_2d_trio_s8": "xtensa",
    "nn_depthwise_conv_2d_line_s8": "xtensa",
    "nn_fully_connected_bytes_s8": "xtensa",
    "nn_conv_2d_pixels_s8": "xtensa_mac16",
    "nn_conv_2d_columns_s8": "xtensa_mac16",
    "nn_depthwise_conv_2d_nine_s8": "xtensa_mac16",
    "nn_depthwise_conv_2d_run_s8": "xtensa_mac16",
    "nn_fully_connected_pairs_s8": "xtensa_mac16",
}
# what fills the scratch of nn_conv_2d_rows_s8
LOADERS = {f"nn_load_{what}_s8": "armv7em" for what in ("quads", "pairs", "tiles")}


@pytest.fixture(autouse=True)
def _room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are small: with their padding they would be beyond a set's share of constants."""
    monkeypatch.setattr(lowering, "SMALL_BYTES", 1 << 20)


@pytest.fixture
def _statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call is a statement of its own, in which its scratch can be another."""
    monkeypatch.setattr(emit_c, "step_table", lambda *_: None)


CALL = re.compile(rf"case (\d+):\n(\s+({'|'.join(SCRATCH)})\(.*), base \+ \d+\);")


def models(kernels: str) -> list[bytes]:
    """Layers that use all kernels with scratch of a set; the last has room for larger packings."""
    rng = np.random.default_rng(5)
    if kernels == "armv7em":
        several = [*ROWS.values()] * 4 + [ROWS["CONV_2D_TILES"]] * 6
        rows = [rows_model(several, seed) for seed in range(3)]
        wide = rows_model(list(INT16_ROWS.values()) * 4, 0)
        transposed = [layer(*shape) for shape in LAYERS]
        narrow = [narrowing(layers) for layers in NARROWING]
        layers = dense_layers(rng, [(1, 64, 252)])
        return [lstm(rng), product(15, 17, 13), layers, *transposed, wide, *narrow, *rows]
    if kernels == "xtensa_mac16":
        return [*map(mac16_model, MAC16_NAMES), mac16_model("dense")]
    return [
        convolutions(rng, CONVOLUTIONS),
        convolutions(rng, DEPTHWISE),
        dense_layers(rng, DENSE),
    ]


def _watched_kernels(kernels: str, folder: Path) -> Path:
    """An archive of a set's kernels, all accesses of which the sanitizer checks."""
    objects = [str(path) for path in kernel_sources(kernels)]
    flags = ["gcc", "-std=c11", "-O1", "-g", *SANITIZERS, f"-I{KERNELS}", "-c", *objects]
    subprocess.run(flags, cwd=folder, check=True, timeout=300)
    archive = folder / "kernels.a"
    subprocess.run(["ar", "rcs", archive, *folder.glob("*.o")], check=True, timeout=60)
    (folder / "main.c").write_text(MAIN)
    return archive


def _run_watched(gen: Path, archive: Path) -> None:
    """Run a generated model in an arena of its very size; outputs are the golden ones."""
    sources = [archive.parent / "main.c", gen / "model.c", gen / "model_golden.c", archive]
    program = compile_c(gen / "program", sources, [*SANITIZERS, f"-I{KERNELS}", f"-I{gen}"])
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr[:3000]


@pytest.mark.slow
def test_rows_that_run_together_are_read_within_the_arena(tmp_path: Path) -> None:
    """Pixels of a number of bytes that is no multiple of four, at the end of the arena."""
    archive = _watched_kernels("armv7em", tmp_path)
    for channels, ram in ((3, 8960), (3, 7280), (5, 9000), (7, 9600), (13, 11000)):
        network = Network([1, 16, 20, channels], 3)
        network.conv(32, 1)
        network.conv(8, 3, 2)
        model = network.pack()
        golden = make_golden(model, random_inputs(parse_model(model), 2, 0))
        gen = tmp_path / f"{channels}-{ram}"
        folders = {"armv7em": gen}
        made = compile_sets(model, golden, folders, name="m", settings={}, ram_bytes=ram)
        assert "run together" in str(made["armv7em"])
        _run_watched(gen, archive)


@pytest.mark.parametrize("kernels", sweep(CORES, ["armv7em"]))
@pytest.mark.usefixtures("_statements")
@pytest.mark.slow
def test_kernels_stay_within_the_scratch_that_the_generator_plans(
    kernels: str, tmp_path: Path
) -> None:
    """Each call gets a block of just those bytes, behind which the sanitizer looks."""
    seen: set[str] = set()
    archive = _watched_kernels(kernels, tmp_path)
    for number, model in enumerate(models(kernels)):
        gen = tmp_path / str(number)
        golden = make_golden(model, random_inputs(parse_model(model), 2, 0))
        last = number == len(models(kernels)) - 1
        budget = 1 << 24 if last else None  # room for weights of 16 bits
        folders = {kernels: gen}
        sets = compile_sets(model, golden, folders, name="m", settings={}, constants_bytes=budget)
        planned = {o["step"]: o["scratch_bytes"] for o in sets[kernels]["operators"]}  # type: ignore

        def exact(call: re.Match[str], planned: dict[int, int] = planned) -> str:
            seen.add(call[3])
            return f"case {call[1]}:\n{call[2]}, scratch_of({planned[int(call[1])]}));"

        text = CALL.sub(exact, (gen / "model.c").read_text())
        seen.update(loader for loader in LOADERS if loader in text)
        text = text.replace(
            '#include "nn_kernels.h"\n',
            '#include "nn_kernels.h"\n#include <stddef.h>\nvoid *scratch_of(size_t bytes);\n',
        )
        (gen / "model.c").write_text(text)
        _run_watched(gen, archive)
    assert seen >= {name for name, own in (SCRATCH | LOADERS).items() if own == kernels}
