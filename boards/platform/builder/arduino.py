"""Build the application with Arduino's framework: `extra_scripts` of platformio.ini.

The platform of the framework compiles; this script runs before it. It adds what main.py beside it
adds for bare metal: the generated model, the kernels that boards/<id>.json names for the framework
(TINYPROOF_KERNELS: another set), and the optimisation of each file. At the end it checks the image.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

Import("env")  # noqa: F821  # given by SCons

project = Path(env.subst("$PROJECT_DIR"))  # noqa: F821
firmware = Path(env.subst("$PROJECT_SRC_DIR"))  # noqa: F821
scripts = project / "boards" / "platform" / "builder"
sys.path.insert(0, str(scripts))
from kernels import add_kernels, kernel_files, set_folders, speed_of  # noqa: E402

board = env.GetProjectOption("custom_board")  # noqa: F821
facts = json.loads((project / "boards" / f"{board}.json").read_text(encoding="utf-8"))["tinyproof"]
known = {entry["name"]: entry for entry in facts["frameworks"]}
kernels = os.environ.setdefault("TINYPROOF_KERNELS", known["arduino"]["kernels"])
gen = project / os.environ.setdefault("TINYPROOF_GEN", f"build/recipes/motion/gen/{kernels}")


def stop(reason):
    """End the build."""
    sys.stderr.write(f"Error: {reason}\n")
    env.Exit(1)  # noqa: F821


def speed(path):
    """How a file is compiled."""
    return speed_of(firmware, path)


def optimise(env, node):
    """Compile one source of ours as `speed` says; the framework's stay as its platform says.

    CPPFLAGS come last in a command, behind the -O of a platform that is still to be read.
    """
    path = Path(node.srcnode().abspath)
    ours = firmware in path.parents or gen.resolve() in path.resolve().parents
    return env.Object(node, TINYPROOF_SPEED=speed(path)) if ours else node


def check_image(target, source, env):
    """The last word about what was linked; see host_tools/build/image.py."""
    listed = subprocess.run(
        [env.subst("$AR"), "t", env.subst("$BUILD_DIR/kernels.a")],
        env=env["ENV"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    own = {path.stem for folder in folders[:-1] for path in folder.glob("*.[cS]")}
    linked = sorted({Path(name).stem for name in listed.split()} & own)
    command = [sys.executable, "-m", "host_tools.build.image", "--set", kernels, str(target[0])]
    return subprocess.run([*command, *linked], env=env["ENV"], check=False).returncode


if (gen / "manifest.json").is_file():  # generated.py tells when nothing is there
    made_for = json.loads((gen / "manifest.json").read_text(encoding="utf-8")).get("kernels")
    if made_for != kernels:
        stop(
            f"{gen} is generated for the kernels {made_for!r}; {env['PIOENV']} links {kernels!r}. "  # noqa: F821
            "Take the folder of these kernels, or set TINYPROOF_KERNELS."
        )

env.Append(  # noqa: F821
    CPPDEFINES=[("BOARD_ID", f'\\"{board}\\"')],
    CPPFLAGS=["$TINYPROOF_SPEED"],
)
env.AddBuildMiddleware(optimise)  # noqa: F821
env.SConscript(str(scripts / "generated.py"), exports="env")  # noqa: F821
folders = [firmware / "kernels" / name for name in set_folders(kernels)]
for folder in folders[:-1]:  # what assembly language counts on
    env.BuildSources(f"$BUILD_DIR/layout/{folder.name}", str(folder / "layout"), "+<*.c>")  # noqa: F821
files = kernel_files(folders, assembly=True)
env.Append(  # noqa: F821
    PIOBUILDFILES=add_kernels(env, "$BUILD_DIR/kernels.a", env["PIOBUILDFILES"], files, speed)  # noqa: F821
)
env.PrependENVPath("PYTHONPATH", str(project))  # noqa: F821
env.AddPostAction("$BUILD_DIR/${PROGNAME}.elf", env.VerboseAction(check_image, "Checking $TARGET"))  # noqa: F821
