"""PlatformIO monitor filter `tinyproof`: frames of the link in words, text as it is.

All of it is host_tools/monitor. A PlatformIO outside of tinyproof's environment does not find that;
then it says that it knows no such filter, and shows what comes as it is.
"""

import contextlib

from platformio.public import DeviceMonitorFilterBase

with contextlib.suppress(ImportError):
    from host_tools.monitor.view import ENCODING, View, from_environment

    class Tinyproof(DeviceMonitorFilterBase):
        """PlatformIO makes one of every filter, and calls the one that is used."""

        NAME = "tinyproof"

        _view = None

        def __call__(self):
            """Begin the session; changes in the monitor's menu call again."""
            self._view = self._view or View(from_environment())
            return self

        def set_running_terminal(self, terminal):
            """Take bytes in place of UTF-8, which frames are not."""
            super().set_running_terminal(terminal)
            terminal.set_rx_encoding(ENCODING)

        def rx(self, text):
            """What the characters received add to the screen."""
            return self._view.received(text)

        def tx(self, text):
            """What is typed goes to the board as it is, but first to the screen where it is shown.

            The monitor itself would show it after it went: into the board's answer.
            """
            self._view.typed(text)
            terminal = self.get_running_terminal()
            if terminal.echo:
                terminal.console.write(text.replace("\r\n", "\n").replace("\r", "\n"))
            return text

        def echo(self, text):
            """Nothing: `tx` has shown it."""
            return ""
