"""python -m tests.tinyproof: the console command of this folder, whatever is installed."""

from host_tools.cli import entry

if __name__ == "__main__":
    entry()
