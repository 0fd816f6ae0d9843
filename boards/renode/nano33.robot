*** Comments ***
The firmware with the Cortex-M4 kernels, in Renode:
renode-test --variable ELF:$PWD/build/recipes/motion/nano33-armv7em/firmware.elf boards/renode/nano33.robot

*** Variables ***
${ELF}      ${CURDIR}/../../build/recipes/motion/nano33-armv7em/firmware.elf

*** Keywords ***
Create Nano
    Execute Command          mach create "nano33"
    Execute Command          include "${CURDIR}/nano33.cs"
    Execute Command          machine LoadPlatformDescription "${CURDIR}/nano33.repl"
    Execute Command          sysbus LoadELF "${ELF}"
    Execute Command          cpu VectorTableOffset 0x10000
    Create Terminal Tester   sysbus.uart0    timeout=10

*** Test Cases ***
Should Boot And Pass Its Self-Test
    Create Nano
    Start Emulation
    Wait For Line On Uart    tinyproof .* on nano33          treatAsRegex=true
    Wait For Line On Uart    self-test PASS: \\d+ of \\d+ golden vectors equal    treatAsRegex=true
    Wait For Line On Uart    ready: type help

Should Find The Sensor And Infer On Its Samples
    Create Nano
    Start Emulation
    Wait For Line On Uart    ready: type help
    Write Line To Uart       live    waitForEcho=false
    Wait For Line On Uart    live at 59500 mHz
    Wait For Line On Uart    class \\d+.*, scores .*         treatAsRegex=true
