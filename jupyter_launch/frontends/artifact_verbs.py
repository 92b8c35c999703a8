"""``jupyter launch artifacts``: what a run left behind, listed, printed, copied."""

from __future__ import annotations

import argparse
import shutil
import sys

from ..config import setting
from ..submit import launcher
from . import report
from .artifact_list import listed, rows


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the verb."""
    parser.add_argument("name", nargs="?", metavar="NAME", help="artifact to print")
    parser.add_argument("--to", metavar="FOLDER", help="copy all, or the one named, to a folder")


def artifacts(arguments: argparse.Namespace) -> int:
    """List a run's artifacts, print one, or copy them."""
    handle = launcher(setting("store", given=arguments.store).value).handle(arguments.id)
    found = handle.artifacts()
    if arguments.to is not None:
        names = None if arguments.name is None else [arguments.name]
        for path in handle.download(arguments.to, names):
            print(path)
    elif arguments.name is not None:
        with found[arguments.name].open() as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    elif arguments.json:
        print(report.as_json(listed(handle.store.artifacts(handle.id))))
    else:
        kept = handle.store.artifacts(handle.id)
        print(report.columns(rows(kept)) if kept else "no artifacts")
    return 0
