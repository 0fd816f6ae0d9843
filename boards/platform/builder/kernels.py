"""Compile the kernels that a model calls, and those that they call in turn.

What objects leave undefined tells which; a kernel lies in the file of its name.
"""

import subprocess
from pathlib import Path

from SCons.Script import Action

# An inference runs in kernels and decisions; the rest calls them, or waits for the line.
SMALL, FAST = ["-Os"], ["-O2"]
# -Os alone still copies code and holds values in registers for speed; see docs/STUDIES.md.
SMALLER = [
    *SMALL,
    *("-fno-thread-jumps", "-fno-move-loop-invariants"),
    *("-fno-caller-saves", "-fno-schedule-insns2"),
    *("-fno-if-conversion", "-fno-optimize-sibling-calls"),
]
FOLDERS = {
    **dict.fromkeys(["app", "link", "board", "check", "stream"], SMALLER),
    "kernels/armv7em": SMALL,
}


def speed_of(firmware, path):
    """The flags for size or for speed, by the folder of `firmware` that a file lies in.

    The generated model.c of a network only calls kernels; that of a classical model decides.
    """
    if path.name == "model.c" and firmware not in path.parents:
        return FAST if (path.parent / "classical_plan.h").is_file() else SMALLER
    found = [flags for folder, flags in FOLDERS.items() if firmware / folder in path.parents]
    return found[0] if found else FAST


def set_folders(kernels):
    """The folders of a set, the first of which has a kernel: its own; where its name goes on behind
    another set's, as xtensa_mac16 does, also that one's; the reference's."""
    names = kernels.split("_")
    own = ["_".join(names[:count]) for count in range(len(names), 0, -1)]
    return [*own, *(["ref"] if own != ["ref"] else [])]


def kernel_files(folders, assembly):
    """Name -> file; of files with the same name the first of `folders` has it.

    Without `assembly` the C twins in folder/twin stand for .S files.
    """
    files = {}
    for folder in reversed(folders):
        parts = [folder.glob("*.c"), folder.glob("*.S") if assembly else folder.glob("twin/*.c")]
        files |= {path.stem: path for part in parts for path in part}
    return files


def add_kernels(env, archive, objects, files, flags):
    """The node of an archive with the kernels of `files` that `objects` need.

    `flags` tells for a file how it is optimised.
    """
    assembly = any(path.suffix == ".S" for path in files.values())
    node = env.Command(
        archive,
        objects,
        Action(_compile_called, None),
        FILES=files,
        FLAGS_OF=flags,
        ASSEMBLY=assembly,
    )
    sources = Path(env.subst("$PROJECT_SRC_DIR"), "kernels").rglob("*.*")
    env.Depends(node, [env.File(str(path)) for path in sorted(sources)])
    return node


def _compile_called(target, source, env):
    """SCons action: compile until nothing that has a file is undefined; returns an exit status."""
    files, compiled = env["FILES"], {}
    new = list(source)
    while new:
        names = sorted((_undefined(env, new) & files.keys()) - compiled.keys())
        new = [env.File(f"{target[0]}.d/{name}.o") for name in names]
        for name, node in zip(names, new, strict=True):
            status = _compile(env, files[name], node)
            if status:
                return status
        compiled |= dict(zip(names, new, strict=True))
    return Action("$ARCOM", "Archiving $TARGET")(target, list(compiled.values()), env)


def _compile(env, file, node):
    command = "$ASPPCOM" if file.suffix == ".S" else "$CCCOM"
    flags = [*env["CCFLAGS"], *env["FLAGS_OF"](file)]
    if env["ASSEMBLY"]:  # then its C may not do without the core's instructions either
        flags.append("-DNN_INSTRUCTIONS")
    own = env.Override({"CCFLAGS": flags})
    Path(str(node)).parent.mkdir(parents=True, exist_ok=True)
    return Action(command, "Compiling $TARGET")([node], [env.File(str(file))], own)


def _undefined(env, nodes):
    nm = env.get("NM") or env.subst("$CC").removesuffix("gcc") + "nm"
    command = [nm, "--undefined-only", *map(str, nodes)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env["ENV"])
    lines = done.stdout.splitlines()
    return {line.split()[-1] for line in lines if line.strip()}
