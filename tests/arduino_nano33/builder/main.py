"""The compiler of boards/nano33.json in place of the platform's GCC 7."""

from SCons.Script import Default, DefaultEnvironment

env = DefaultEnvironment()
prefix = "arm-none-eabi-"
env.Replace(
    AR=prefix + "ar",
    AS=prefix + "gcc",
    CC=prefix + "gcc",
    CXX=prefix + "g++",
    OBJCOPY=prefix + "objcopy",
    RANLIB=prefix + "ranlib",
    SIZETOOL=prefix + "size",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
program = env.BuildProgram()
Default(env.Command("$BUILD_DIR/firmware.bin", program, "$OBJCOPY -O binary $SOURCE $TARGET"))
