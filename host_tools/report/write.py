"""Write report.json, report.html and the pictures of a run."""

from __future__ import annotations

from pathlib import Path

from host_tools.report.collect import collect
from host_tools.report.page import plot_files, render
from host_tools.report.results import right_shape
from model.files import write_json, write_text


def write_report(out_dir: Path) -> Path:
    """Write report.json and report.html into `out_dir`; returns the path of report.html.

    Raises UsageError when there is nothing to report, or when a file is damaged or has another
    shape than this version of tinyproof writes.
    """
    with right_shape(out_dir):
        content = collect(out_dir)
        page, drawn = render(content), plot_files(content)
    write_json(out_dir / "report.json", content)
    write_text(out_dir / "report.html", page)
    for name, text in drawn.items():
        write_text(out_dir / "plots" / f"{name}.svg", text)
    return out_dir / "report.html"


def report(out_dir: Path) -> None:
    """The stage: as write_report."""
    write_report(out_dir)
