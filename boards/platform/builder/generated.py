"""Add the generated model to a build: every .c and .cpp of the folder named by TINYPROOF_GEN, and
folders of firmware that some of them are for, the board's sensor among them.

Every environment runs this script: the bare-metal ones from main.py beside it, the Arduino ones
from arduino.py.
"""

import json
import os
import sys
from pathlib import Path

# A front end streams and records, a profile is counted against, statistics and weights decide.
PARTS = {"model_features.c": "stream", "drift_plan.c": "drift", "classical_plan.h": "classical"}
# Sources of the application that belong to a part which TINYPROOF_WITHOUT leaves out.
LEFT_OUT = {
    "text": ["app/app_text.c", "app/app_commands.c", "app/app_bench.c"],
    "golden": ["app/app_selftest.c"],
}
DEFAULT_FOLDER = "build/recipes/motion/gen/ref"
Import("env")  # noqa: F821  # given by SCons

folder = Path(env.subst("$PROJECT_DIR"), os.environ.get("TINYPROOF_GEN", DEFAULT_FOLDER))  # noqa: F821
if not (folder / "model.h").is_file():
    sys.stderr.write(
        f"Error: {folder} holds no generated model (model.h is missing).\n"
        "Generate it with `make emit RECIPE=motion`, or set TINYPROOF_GEN to the absolute path\n"
        "of a folder that holds model.h, for example build/recipes/<recipe>/gen/ref.\n"
    )
    env.Exit(1)  # noqa: F821
env.Append(CPPPATH=[str(folder)], CCFLAGS=[f"-ffile-prefix-map={folder}=gen", "-ffp-contract=off"])  # noqa: F821

# What image this is: the firmware says it (HELLO, `info`), tools compare it with what was asked.
facts = env.BoardConfig().get("tinyproof", None) or {"kernels": "ref"}  # noqa: F821
kernels = os.environ.get("TINYPROOF_KERNELS", facts["kernels"])
# As C code, compiled ahead of time, or as data of an interpreter, which has kernels of its own.
engine = "tflm" if (folder / "model_resolver.h").is_file() else "aot"
kernels = engine if engine != "aot" else kernels
image = {
    "KERNELS": "classical" if (folder / "classical_plan.h").is_file() else kernels,
    "FRAMEWORK": (env.get("PIOFRAMEWORK") or ["bare"])[0],  # noqa: F821
    "ENGINE": engine,
}
env.Append(CPPDEFINES=[(f"IMAGE_{name}", f'\\"{text}\\"') for name, text in image.items()])  # noqa: F821

env.BuildSources("$BUILD_DIR/gen", str(folder), "+<*.c> +<*.cpp>")  # noqa: F821
without = [part for part in os.environ.get("TINYPROOF_WITHOUT", "").split(",") if part]
env.Append(CPPDEFINES=[f"WITHOUT_{part.upper()}" for part in without])  # noqa: F821
left_out = [f"-<{file}>" for part in without for file in LEFT_OUT.get(part, [])]
env["SRC_FILTER"] = [*env.Split(env["SRC_FILTER"]), *left_out]  # noqa: F821
for file, own in PARTS.items():
    if (folder / file).is_file() and own not in without:
        files = "+<*.c> -<app_live.c>" if "text" in without else "+<*.c>"
        env.BuildSources(f"$BUILD_DIR/{own}", f"$PROJECT_SRC_DIR/{own}", files)  # noqa: F821

sys.path.insert(0, env.subst("$PROJECT_DIR/boards/platform/builder"))  # noqa: F821
if engine == "tflm":
    env.SConscript("tflm.py", exports=["env", "folder"])  # noqa: F821
from mlperf import mlperf_defines  # noqa: E402
from sensor import choose, defines, is_installed  # noqa: E402

arduino = "arduino" in env.get("PIOFRAMEWORK", [])  # noqa: F821
own_board = env.GetProjectOption("custom_board", env["BOARD"])  # noqa: F821
board_file = Path(env.subst("$PROJECT_DIR"), "boards", f"{own_board}.json")  # noqa: F821
facts = json.loads(board_file.read_text(encoding="utf-8"))
if benchmark := os.environ.get("TINYPROOF_MLPERF"):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    env.Append(CPPDEFINES=mlperf_defines(benchmark, facts, manifest))  # noqa: F821
    env.BuildSources("$BUILD_DIR/mlperf", "$PROJECT_SRC_DIR/mlperf", "+<*.c>")  # noqa: F821
absent = env.GetProjectOption("custom_absent_sensor", "")  # noqa: F821
key = "arduino" if arduino else "port"
sensors = [s for s in facts["tinyproof"]["sensors"] if s[key] and s["part"] != absent]
header = (folder / "model_features.h").read_text(encoding="utf-8")
wish = os.environ.get("TINYPROOF_SENSOR", "")
if wish not in ("", "none"):
    sys.stderr.write(f"Error: TINYPROOF_SENSOR: expected none or nothing, got {wish!r}\n")
    env.Exit(1)  # noqa: F821
sensor = None if wish or "stream" in without else choose(sensors, header)
storage = Path(env.GetProjectConfig().get("platformio", "globallib_dir"))  # noqa: F821
for library in sensor.get("libraries", []) if sensor and arduino else []:
    if not is_installed(library, storage):
        sys.stderr.write(
            f"Error: the sensor {sensor['part']} needs the library {library}, which is not in "
            f"{storage}.\n"
            "Install it once, in the project's folder, with\n"
            f"    pio pkg install --global --library {library}\n"
            "or set TINYPROOF_SENSOR=none in the environment for firmware without a sensor.\n"
        )
        env.Exit(1)  # noqa: F821
if "stream" not in without:
    env.Append(CPPDEFINES=defines(sensor, sensors, header))  # noqa: F821
if wish and sensors:
    env.Append(CPPDEFINES=[("BOARD_SENSOR", '\\"none\\"')])  # noqa: F821  # told, not silent
for part in sensor[key] if sensor else []:
    env["SRC_FILTER"] = [*env.Split(env["SRC_FILTER"]), f"+<board/{part}/*.c*>"]  # noqa: F821
