"""Add TFLite Micro's interpreter to a build: the library, and firmware/tflm around it.

The library lies in the folder of TINYPROOF_TFLM, else in PlatformIO's global storage, where
`pio pkg install --global` puts it. It is compiled for speed and with its own idea of warnings.
"""

import os
import sys
from pathlib import Path

from engine import LIBRARY, doubt, include_folders, library_folder, problem, source_files, sources

Import("env", "folder")  # noqa: F821  # given by generated.py: where the generated model lies
gen = folder  # noqa: F821

storage = Path(env.GetProjectConfig().get("platformio", "globallib_dir"))  # noqa: F821
library = library_folder(os.environ.get("TINYPROOF_TFLM"), storage)
if library is None:
    sys.stderr.write(
        f"Error: this model is generated for TFLite Micro, and the library {LIBRARY} is not in "
        f"{storage}.\nInstall it once, in the project's folder, with\n"
        f"    pio pkg install --global --library {LIBRARY}\n"
        "or name the folder of a TFLite Micro: TINYPROOF_TFLM.\n"
    )
    env.Exit(1)  # noqa: F821
wrong = problem(library, gen / "model_resolver.h")
if wrong:
    sys.stderr.write(f"Error: {wrong}.\nThe library that fits: {LIBRARY}\n")
    env.Exit(1)  # noqa: F821
elif told := doubt(library, gen / "model_resolver.h"):
    sys.stderr.write(f"Warning: {told}.\n")

arduino = "arduino" in env.get("PIOFRAMEWORK", [])  # noqa: F821
own = env.Clone()  # noqa: F821
own.Append(
    CPPDEFINES=["TF_LITE_STATIC_MEMORY", "TF_LITE_STRIP_ERROR_STRINGS"],
    CXXFLAGS=["-std=c++17", "-fno-exceptions", "-fno-rtti", "-fno-threadsafe-statics"],
    CCFLAGS=[f"-ffile-prefix-map={library}=tflm"]
    + [flag for path in include_folders(library) for flag in ("-isystem", str(path))],
)
if not arduino:  # by which the library tells small firmware from a computer
    own.Append(CPPDEFINES=[("ARDUINO", 10800)])
theirs = own.Clone(TINYPROOF_SPEED="-O2")
theirs.Replace(CCFLAGS=[f for f in own["CCFLAGS"] if not str(f).startswith(("-W", "-pedantic"))])
theirs.Append(CCFLAGS=["-w"])
filters = [f"+<{name}>" for name in source_files(library)]
archive = theirs.BuildLibrary("$BUILD_DIR/tflm", str(sources(library)), ["-<*>", *filters])
own.BuildSources("$BUILD_DIR/gen", str(gen), "+<*.cc>")
left_out = "-<bare.cc>" if arduino else ""  # Arduino's core has a C++ runtime
own.BuildSources("$BUILD_DIR/engine", "$PROJECT_SRC_DIR/tflm", f"+<*.c*> {left_out}")
env.Append(LIBS=[archive, "m"])  # noqa: F821
