"""PlatformIO monitor filter `tinyproof`: hides the link's binary frames and leaves the text.

A frame is 00, bytes that begin with 02, 00 (firmware/link/PROTOCOL.md); text never holds a 00.
"""

from platformio.public import DeviceMonitorFilterBase

DELIMITER = "\x00"
FRAME_START = "\x02"


class Tinyproof(DeviceMonitorFilterBase):
    """Chunks may end anywhere, so what was seen last is kept between calls."""

    NAME = "tinyproof"

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._behind_delimiter = False
        self._in_frame = False

    def rx(self, text):
        """Return the text among the characters received."""
        return "".join(character for character in text if self._is_text(character))

    def _is_text(self, character):
        if character == DELIMITER:
            self._in_frame = False
            self._behind_delimiter = True
            return False
        if self._behind_delimiter:
            self._behind_delimiter = False
            self._in_frame = character == FRAME_START
        return not self._in_frame
