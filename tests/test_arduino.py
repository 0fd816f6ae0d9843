"""The port to Arduino's framework, compiled for this computer around a double of its Serial."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.host_c import KERNELS

ROOT = Path(__file__).resolve().parent.parent
PORT = ROOT / "firmware" / "board" / "arduino" / "board.cpp"
DOUBLE = ROOT / "tests" / "arduino_double"
CORES = {
    "nrf52840": ["-DARDUINO_ARCH_NRF52840", "-DARDUINO_ARCH_MBED"],
    "esp32": ["-DARDUINO_ARCH_ESP32"],
    "other": [],
}
HEAD = """
#include <Arduino.h>
#include <cmsis.h>
extern "C" {
#include "board.h"
int firmware_main(void) { return 0; }
}
#define CHECK(x) do { if (!(x)) { printf("line %d: " #x "\\n", __LINE__); return 1; } } while (0)
uint32_t now_ms;
UsbSerial _SerialUSB;
core_debug debug_block; core_debug *CoreDebug = &debug_block;
dwt dwt_block; dwt *DWT = &dwt_block;
#ifdef ARDUINO_ARCH_ESP32
Chip ESP;
#endif
[[maybe_unused]] static void put(const std::string &text)
{
    board_write((const uint8_t *)text.data(), text.size());
}
[[maybe_unused]] static void poll(int times)
{
    uint8_t byte;
    while (times-- > 0) {
        board_read(&byte, 1);
    }
}
int main() { board_init();
"""


def run(folder: Path, body: str, core: str = "nrf52840") -> None:
    """Compile the port with `body` as main, and run it: 0 when every CHECK held."""
    source = folder / "test.cpp"
    source.write_text(f"{HEAD}{body}\nreturn 0; }}\n")
    flags = ["-std=c++14", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined", "-g"]
    defines = [*CORES[core], '-DBOARD_ID="nano33"', "-DF_CPU=64000000L"]
    paths = [f"-I{DOUBLE}", f"-I{ROOT / 'firmware' / 'board'}"]
    command = ["g++", *flags, *defines, *paths, str(PORT), str(source), "-o", str(folder / "test")]
    built = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [str(folder / "test")], capture_output=True, text=True, timeout=10, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_banner_waits_for_the_first_host(tmp_path: Path) -> None:
    """In its order, once, and after the host has had time to set its port up."""
    run(
        tmp_path,
        """
        CHECK(Serial.begun == 1);
        put("model motion\\n");
        poll(5000);
        CHECK(now_ms >= 5000 && Serial.sent.empty());
        Serial.open = true;
        poll(1);
        put("ready\\n");
        CHECK(Serial.sent.empty());
        poll(200);
        CHECK(Serial.sent == "model motion\\nready\\n");
        put("more\\n");
        CHECK(Serial.sent == "model motion\\nready\\nmore\\n");
        Serial.open = false;
        put("to nobody\\n");
        Serial.open = true;
        poll(200);
        CHECK(Serial.sent == "model motion\\nready\\nmore\\n");
        """,
    )


def test_a_banner_without_room_keeps_its_start(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        for (int i = 0; i < 3000; i++) put("x");
        Serial.open = true;
        poll(200);
        CHECK(Serial.sent == std::string(1024, 'x') + std::string(1, 0));
        """,
    )


def test_a_host_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    """Once for a bounded time, then not at all; when it reads again it gets all that follows."""
    run(
        tmp_path,
        """
        Serial.open = true;
        poll(200);
        Serial.reads = false;
        uint32_t start = now_ms;
        put(std::string(1000, 'a'));
        CHECK(now_ms - start >= 400 && now_ms - start < 2000);
        start = now_ms;
        for (int i = 0; i < 100; i++) put("a line of text\\n");
        CHECK(now_ms - start < 100);
        Serial.input = {'h'};
        uint8_t byte;
        CHECK(board_read(&byte, 1) == 1 && byte == 'h');
        Serial.reads = true;
        Serial.busy = false;
        Serial.sent.clear();
        put(std::string(200, 'b'));
        CHECK(Serial.sent.find(std::string(200, 'b')) != std::string::npos);
        """,
    )


def test_a_host_that_goes_away_ends_a_write(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        Serial.open = true;
        poll(200);
        Serial.open = false;
        const uint32_t start = now_ms;
        put(std::string(1000, 'a'));
        CHECK(now_ms == start && Serial.sent.empty());
        """,
    )


@pytest.mark.parametrize("core", CORES)
def test_every_length_leaves_the_driver_of_the_host(tmp_path: Path, core: str) -> None:
    """A packet of 64 bytes waits there for a shorter one: when the firmware reads, and only then, a
    delimiter follows, so that none comes between the pieces of a frame."""
    run(
        tmp_path,
        """
        Serial.open = true;
        poll(200);
        for (size_t length = 1; length <= 1100; length++) {
            Serial.sent.clear();
            const std::string text(length, 'x');
            put(text);
            CHECK(Serial.sent + Serial.driver == text);
            poll(1);
            const std::string end(length % 64 == 0 ? 1 : 0, '\\0');
            CHECK(Serial.driver.empty() && Serial.sent == text + end);
        }
        put(std::string(64, 'x'));
        put("y");
        poll(1);
        CHECK(Serial.driver.empty() && Serial.sent.back() == 'y');
        """,
        core,
    )


def test_reading_takes_what_fits_and_gives_way_when_nothing_came(tmp_path: Path) -> None:
    """The framework's thread that answers 1200 baud runs when the port yields."""
    run(
        tmp_path,
        """
        uint8_t data[4] = {};
        Serial.input = {1, 2, 3, 4, 5};
        CHECK(board_read(data, 3) == 3 && data[2] == 3 && Serial.input.size() == 2 && now_ms == 0);
        CHECK(board_read(data, 3) == 2 && now_ms == 0);
        CHECK(board_read(data, 3) == 0 && now_ms == 1);
        """,
    )


def test_the_counter_counts_cycles_where_the_core_can(tmp_path: Path) -> None:
    run(
        tmp_path,
        """
        CHECK(CoreDebug->DEMCR == 1u << 24 && DWT->CTRL == 1u);
        DWT->CYCCNT = 77;
        CHECK(board_counter() == 77 && board_info.counter_num == 1 && board_info.counter_den == 1);
        CHECK(board_stack_bytes() == 0 && board_stack_used() == 0);
        """,
    )
    run(
        tmp_path,
        """
        CHECK(board_counter() == 240000000u && board_info.counter_num == 1);
        CHECK(board_stack_bytes() == 8192 && board_stack_used() == 2000);
        """,
        "esp32",
    )
    run(
        tmp_path,
        """
        now_ms = 3;
        CHECK(board_counter() == 3000);
        CHECK(board_info.counter_num == 64 && board_info.counter_den == 1);
        """,
        "other",
    )


@pytest.mark.parametrize("speed", ["-Os", "-O2"])
def test_the_kernels_compile_with_the_names_that_gcc_7_has(tmp_path: Path, speed: str) -> None:
    """Arduino's compiler is older than the intrinsics: with its version and header the packed
    instructions are there all the same, under its float ABI."""
    (tmp_path / "arm_acle.h").write_text("/* without __sxtb16, __ssub8, __sel */\n")
    core = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=softfp", "-mfpu=fpv4-sp-d16"]
    command = ["arm-none-eabi-gcc", *core, speed, "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    command += ["-U__GNUC__", "-D__GNUC__=7", "-DNN_INSTRUCTIONS", f"-I{tmp_path}", f"-I{KERNELS}"]
    text = ""
    for source in sorted((KERNELS / "armv7em").glob("*.c")):
        listing = tmp_path / "listing.s"
        subprocess.run([*command, "-S", str(source), "-o", str(listing)], check=True, timeout=60)
        text += listing.read_text()
    for instruction in ("sxtb16", "ssub8", "sel"):
        assert f"\t{instruction} " in text or f"\t{instruction}\t" in text


def test_a_core_without_the_instructions_is_no_silent_fallback(tmp_path: Path) -> None:
    source = KERNELS / "armv7em" / "nn_max_pool_2d_quads_s8.c"
    command = ["arm-none-eabi-gcc", "-mcpu=cortex-m3", "-mthumb", f"-I{KERNELS}", "-c", str(source)]
    command += ["-o", str(tmp_path / "out.o")]
    subprocess.run(command, check=True, timeout=60)  # the twins' C, as on this computer
    asked = subprocess.run(
        [*command, "-DNN_INSTRUCTIONS"], capture_output=True, text=True, timeout=60, check=False
    )
    assert asked.returncode != 0 and "this core has no packed instructions" in asked.stderr
