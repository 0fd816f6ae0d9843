"""Each form of a library by that form's own rules, offline: Arduino's, PlatformIO's, ESP-IDF's,
Zephyr's and CMake's; and texts of a user's files break none of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from host_tools.library.make import Library, make_library
from host_tools.library.write import write_library
from model.recipe_file import load_recipe
from tests.example_programs import LABELS, make_results

SEMVER = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?"
NAME = 'a "b" */ ??/ %s $(shell,id) ${x} <b>_i_</b> [l](u)\n# täg\\'
CHANNEL = 'x" */\n/* ??/ %d *\\ \\*'
# arduino-lint's schema of library.properties, level "specification", and its required fields.
PROPERTIES = {
    "name": r"(?![aA]rduino)(?=.{1,63}$)[a-zA-Z0-9](?=.*[a-zA-Z]|(?<=[a-zA-Z]))[a-zA-Z0-9 _.-]*",
    "version": SEMVER,
    "author": r".+",
    "maintainer": r"(?!(?i:arduino)).+",
    "sentence": r".+",
    "paragraph": r".*",
    "category": r"Display|Communication|Signal Input/Output|Sensors|Device Control|Timing|"
    r"Data Storage|Data Processing|Other",
    "url": r"https?://[^\s]+",
    "architectures": r".+",
    "includes": r".+",
}
COMPONENT_KEYS = {  # of idf_component.yml
    *("version", "description", "url", "repository", "documentation", "license", "tags", "targets"),
    *("dependencies", "files", "examples", "maintainers", "issues", "discussion"),
}


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Of a model whose name, channels and units are hostile; its labels are too."""
    recipe = load_recipe("motion")
    results = make_results(tmp_path_factory.mktemp("results"), recipe, LABELS, "motion")
    for path in results.glob("gen/*/manifest.json"):
        manifest = json.loads(path.read_text())
        manifest["name"] = NAME
        manifest["settings"]["dataset"]["channels"] = [CHANNEL] * 6
        manifest["settings"]["dataset"]["units"] = ["g"] * 3 + [CHANNEL] * 3
        path.write_text(json.dumps(manifest))
    return make_library(results)


@pytest.fixture(scope="module")
def folder(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_library(library, tmp_path_factory.mktemp("written"))[0]


def run(*words: object, **options: Any) -> str:
    done = subprocess.run(
        list(map(str, words)), capture_output=True, text=True, check=False, timeout=120, **options
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout + done.stderr


def test_library_properties(library: Library, folder: Path) -> None:
    lines = (folder / "library.properties").read_text("utf-8").splitlines()
    pairs = [line.split("=", 1) for line in lines]
    assert [key for key, _ in pairs] == list(PROPERTIES)
    for key, value in pairs:
        assert re.fullmatch(PROPERTIES[key], value), f"{key}={value}"
    found = dict(pairs)
    assert found["sentence"] != found["paragraph"]
    assert (folder / "src" / found["includes"]).is_file()
    assert folder.name == found["name"] and re.fullmatch(r"[A-Za-z0-9][\w.-]{0,62}", folder.name)


def test_the_folder_as_arduino_lint_wants_it(folder: Path) -> None:
    """Layout 1.5: sources in src alone, a sketch is called like its folder, no sketch elsewhere."""
    sketches = sorted(folder.rglob("*.ino"))
    assert sketches and all(path.stem == path.parent.name for path in sketches)
    assert all(path.parents[1] == folder / "examples" for path in sketches)
    assert not list(folder.glob("*.[ch]")) and not (folder / "utility").exists()
    assert all((folder / name).is_file() for name in ("README.md", "LICENSE"))
    assert not [path for path in folder.rglob("*") if path.is_symlink() or path.suffix == ".exe"]


def test_platformio_packs_it_without_network(folder: Path, tmp_path: Path) -> None:
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "PLATFORMIO_CORE_DIR": str(tmp_path / "core")}
    archive = tmp_path / "out.tar.gz"
    run(sys.executable, "-m", "platformio", "pkg", "pack", "-o", archive, folder, env=environment)
    with tarfile.open(archive) as packed:
        names = set(packed.getnames())
    header = f"src/{folder.name}.h"
    assert {"library.json", "LICENSE", "README.md", "examples/pc/main.c", header} <= names
    manifest = json.loads((folder / "library.json").read_text("utf-8"))
    assert manifest["name"] == folder.name and re.fullmatch(SEMVER, manifest["version"])
    assert (folder / "src" / manifest["headers"]).is_file()
    assert "license" not in manifest  # it is looked up on the network


def test_idf_component(library: Library, folder: Path) -> None:
    """By the rules of idf-component-manager's `compote component pack`."""
    found = yaml.safe_load((folder / "idf_component.yml").read_text("utf-8"))
    assert found.keys() <= COMPONENT_KEYS
    assert re.fullmatch(SEMVER, found["version"])
    assert found["description"] == library.values["title"]
    assert re.fullmatch(r"(==|>=|<=|>|<|~=|~|\^)?\d+(\.\d+)*", found["dependencies"]["idf"])
    assert re.fullmatch(r"[a-z0-9_-]+", folder.name)


def test_zephyr_module_and_kconfig(library: Library, folder: Path) -> None:
    module = yaml.safe_load((folder / "zephyr/module.yml").read_text("utf-8"))
    assert module == {
        "name": folder.name,
        "build": {"cmake": "zephyr", "kconfig": "zephyr/Kconfig"},
    }
    lines = (folder / "zephyr/Kconfig").read_text("utf-8").splitlines()
    assert lines[0] == f"config {library.values['NAME']}"
    prompt = re.fullmatch(r'\tbool "([^"$\\]+)"', lines[1])
    assert prompt and "'b'" in prompt[1]
    assert lines[2] == "\thelp" and all(line.startswith("\t  ") for line in lines[3:])
    config = (folder / "examples/zephyr/prj.conf").read_text().splitlines()
    assert f"CONFIG_{library.values['NAME']}=y" in config
    assert all(re.fullmatch(r"CONFIG_\w+=y", line) for line in config)


def test_texts_of_a_user_are_shown_and_break_nothing(library: Library, folder: Path) -> None:
    """C of the library and its examples, and the Markdown of its README."""
    title = library.values["title"]
    assert "\n" not in title and "*/" not in title and "%s" in title
    readme = (folder / "README.md").read_text("utf-8")
    assert not re.search(r"(?<!\\)<b|(?<!\\)\[l", readme)
    for path in [*sorted((folder / "src").rglob("*.c")), folder / "examples/pc/main.c"]:
        for standard in ("-std=c11", "-std=gnu17"):
            flags = [standard, "-Wall", "-Wextra", "-Werror", f"-I{folder / 'src'}"]
            run("gcc", *flags, "-fsyntax-only", path)


needs_cmake = pytest.mark.skipif(
    shutil.which("cmake") is None or not (shutil.which("ninja") or shutil.which("make")),
    reason="cmake with ninja or make is not installed: apt-get install cmake ninja-build",
)
GENERATOR = ("-G", "Ninja") if shutil.which("ninja") else ("-G", "Unix Makefiles")


@needs_cmake
def test_cmake_builds_the_program_for_a_computer(
    library: Library, folder: Path, tmp_path: Path
) -> None:
    """The example's add_subdirectory, and -Werror of the program that includes the library."""
    source = folder / "examples" / "pc"
    run("cmake", *GENERATOR, "-S", source, "-B", tmp_path, "-Wno-dev", "-DCMAKE_C_FLAGS=-Werror")
    run("cmake", "--build", tmp_path)
    program = tmp_path / f"{folder.name}_csv"
    rows = "0,0,1,0,0,0\n" * library.values["fe"]["window"]
    lines = run(program, input=rows).splitlines()
    assert len(lines) == 2 and lines[1].startswith("class ")


ESP_IDF = """\
cmake_minimum_required(VERSION 3.16)
project(double LANGUAGES C)
set(ESP_PLATFORM 1)
function(idf_component_register)
    cmake_parse_arguments(of "" "" "SRCS;INCLUDE_DIRS;REQUIRES" ${ARGN})
    get_filename_component(name "${CMAKE_CURRENT_SOURCE_DIR}" NAME)
    list(FILTER of_SRCS EXCLUDE REGEX "\\\\.S$")
    add_library(${name} STATIC ${of_SRCS})
    target_include_directories(${name} PUBLIC ${of_INCLUDE_DIRS} "@DOUBLES@")
endfunction()
add_subdirectory("@FOLDER@" library)
add_subdirectory("@FOLDER@/examples/esp_idf/main" main)
target_link_libraries(main PRIVATE @NAME@)
"""
ZEPHYR = """\
cmake_minimum_required(VERSION 3.16)
project(double LANGUAGES C ASM)
function(zephyr_library_named name)
    add_library(${name} STATIC)
    set(library ${name} PARENT_SCOPE)
endfunction()
function(zephyr_library_sources)
    foreach(source ${ARGN})
        target_sources(${library} PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/${source}")
    endforeach()
endfunction()
function(zephyr_include_directories)
    include_directories("${CMAKE_CURRENT_SOURCE_DIR}/${ARGN}")
endfunction()
if(CHOSEN)
    set(CONFIG_@CAPITALS@ y)
endif()
add_subdirectory("@FOLDER@/zephyr" library)
add_custom_target(nothing ALL)
"""


@needs_cmake
@pytest.mark.parametrize(
    ("text", "options"),
    [(ESP_IDF, []), (ZEPHYR, ["-DCHOSEN=1"]), (ZEPHYR, [])],
    ids=["ESP-IDF", "Zephyr", "Zephyr without its option"],
)
def test_cmake_of_a_component_and_of_a_module(
    text: str, options: list[str], library: Library, folder: Path, tmp_path: Path
) -> None:
    """On doubles of the functions of ESP-IDF and Zephyr, compiled by this computer."""
    doubles = Path(__file__).parent / "doubles" / "library_examples"
    found = {"FOLDER": folder, "DOUBLES": doubles, "NAME": folder.name}
    found["CAPITALS"] = library.values["NAME"]
    filled = re.sub(r"@(\w+)@", lambda match: str(found[match[1]]), text)
    (tmp_path / "CMakeLists.txt").write_text(filled)
    build = tmp_path / "build"
    run("cmake", *GENERATOR, "-S", tmp_path, "-B", build, "-Wno-dev", *options)
    run("cmake", "--build", build)
    made = bool(list(build.rglob(f"lib{folder.name}.a")))
    assert made == (text == ESP_IDF or bool(options))
