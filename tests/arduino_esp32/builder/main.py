"""The compiler of boards/qemu_xtensa.json in place of xtensa-esp32-elf-gcc."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
prefix = "xtensa-lx106-elf-"
env.Replace(
    AR=prefix + "ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    CXX=prefix + "g++",
    LINK=prefix + "gcc",
    RANLIB=prefix + "ranlib",
    SIZETOOL=prefix + "size",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
Default(env.BuildProgram())
