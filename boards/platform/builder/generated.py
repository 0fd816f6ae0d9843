"""Add the generated model to a build: every .c of the folder named by TINYPROOF_GEN. With a front
end among them, recording and streaming inference too.

Every environment runs this script: the bare-metal ones from main.py beside it, the Arduino ones
through `extra_scripts` in platformio.ini.
"""

import os
import sys
from pathlib import Path

DEFAULT_FOLDER = "build/recipes/motion/gen/ref"

Import("env")  # noqa: F821  # given by SCons

folder = Path(env.subst("$PROJECT_DIR"), os.environ.get("TINYPROOF_GEN", DEFAULT_FOLDER))  # noqa: F821
if not (folder / "model.c").is_file():
    sys.stderr.write(
        f"Error: {folder} holds no generated model (model.c is missing).\n"
        "Generate it with `make emit RECIPE=motion`, or set TINYPROOF_GEN to the absolute path\n"
        "of a folder that holds model.c and model.h, for example build/recipes/<recipe>/gen/ref.\n"
    )
    env.Exit(1)  # noqa: F821
env.Append(CPPPATH=[str(folder)], CCFLAGS=[f"-ffile-prefix-map={folder}=gen"])  # noqa: F821
env.BuildSources("$BUILD_DIR/gen", str(folder), "+<*.c>")  # noqa: F821
if (folder / "model_features.c").is_file():
    env.BuildSources("$BUILD_DIR/stream", "$PROJECT_SRC_DIR/stream", "+<*.c>")  # noqa: F821
