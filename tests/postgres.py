"""A PostgreSQL of a test's own: a new cluster in a temporary folder, on a unix socket alone."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

USERS = ("postgres", "nobody")  # who it runs as when root starts it: the server refuses root
PASSWORD = "s3cr/et@word"  # with what an address has to escape
START_S = 30.0


def programs() -> Path:
    """Where Debian's package has initdb and postgres; AssertionError names the package."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    assert folders, "PostgreSQL is not installed: sudo apt-get install postgresql"
    return folders[-1]


@contextlib.contextmanager
def server() -> Iterator[str]:
    """The address of an empty database, with user and password; the server ends with the block."""
    bin_dir, folder = programs(), Path(tempfile.mkdtemp(prefix="tinyproof-pg-"))
    known = {user.pw_name for user in pwd.getpwall()}
    user = next(name for name in USERS if name in known) if os.geteuid() == 0 else None
    if user:
        shutil.chown(folder, user)
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data = folder / "data"
    init = [bin_dir / "initdb", "-D", data, "-U", "tester", "-A", "scram-sha-256",
            f"--pwfile={secret}", "--no-sync", "-E", "UTF8", "--locale=C"]  # fmt: skip
    run = [bin_dir / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
           "-c", "fsync=off"]  # fmt: skip
    process = None
    try:
        subprocess.run(init, user=user, cwd=folder, check=True, capture_output=True)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(run, user=user, cwd=folder, stdout=log, stderr=log)
        until = time.monotonic() + START_S
        while not (folder / ".s.PGSQL.5432").exists():
            told = (folder / "log").read_text("utf-8", "replace")
            assert process.poll() is None, told
            assert time.monotonic() < until, f"no socket after {START_S:.0f} s: {told}"
            time.sleep(0.05)
        word = quote(PASSWORD, safe="")
        yield f"postgresql://tester:{word}@/postgres?host={quote(str(folder), safe='')}"
    finally:
        if process is not None:
            process.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            process.wait(timeout=START_S)
        shutil.rmtree(folder, ignore_errors=True)
