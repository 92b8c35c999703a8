"""Launching what an image was built for, beside launching the same code in a plain image."""

from __future__ import annotations

from pathlib import Path

from jupyter_launch.docker_engine import address, connect
from jupyter_launch.runs import new_id
from jupyter_launch.sources.code import from_path
from jupyter_launch.spec import LaunchSpec
from tests.package_index import package_index

from .measure import Row, in_turns
from .tiny import Warm, first_line, warm

BAR = 1.1
CHANGES = 5
PYTHON = "jupyter-launch-test/python:latest"
BUILT = "jupyter-launch/built"


def rows(folder: Path) -> list[Row]:
    """Launch an unchanged source whose image is built, and one whose code changes each time."""
    engine = connect(address())
    before = set(_images())
    try:
        with warm(folder) as here, package_index() as index:
            index.add("jlbenchmark")
            needs = "\n".join([*index.options, "jlbenchmark"])
            return [_unchanged(here, folder, needs), _changed(here, folder, needs)]
    finally:
        for image in set(_images()) - before:
            engine.remove_image(image, force=True)


def _unchanged(here: Warm, folder: Path, needs: str) -> Row:
    built = _spec(here, _code(folder / "built", needs))
    plain = _spec(here, _code(folder / "plain"))
    ours, peer = in_turns(lambda: _launch(here, built), lambda: _launch(here, plain))
    ratio = ours.median / peer.median
    figure = "relaunch of a built source -> first line"
    shown = f"the same in a plain image {peer.text('ms', 1000)}"
    return Row(figure, ours.text("ms", 1000), shown, ratio, f"<= {BAR}x", ratio <= BAR)


def _changed(here: Warm, folder: Path, needs: str) -> Row:
    there = set(_images())
    for change in range(CHANGES):
        code = _code(folder / "built", needs, f"print('change {change}')\n")
        _launch(here, _spec(here, code))
    builds = len(set(_images()) - there)
    figure = f"images built for {CHANGES} changes of the code, same requirements"
    return Row(figure, str(builds), "-", None, "0", builds == 0)


def _code(folder: Path, needs: str = "", text: str = "print('unchanged')\n") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(text)
    if needs:
        (folder / "requirements.txt").write_text(needs)
    return folder


def _spec(here: Warm, folder: Path) -> LaunchSpec:
    source = from_path(str(folder), (), here.store)
    given = LaunchSpec.from_dict(
        {"resource": "local-container", "docker": {"docker_image": PYTHON}}
    )
    return given.evolve(source=source)


def _launch(here: Warm, spec: LaunchSpec) -> float:
    return here.seconds_of(spec.evolve(run_id=new_id()), first_line)


def _images() -> list[str]:
    images = connect(address()).images(BUILT)
    return [tag for image in images for tag in image["RepoTags"] or ()]
