"""What a launch asks of its image, by the arguments and options that say so, on a real engine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
import requests

from jupyter_launch import AbstractRun, Api, launch, launch_add
from jupyter_launch.backends import local_container
from jupyter_launch.builds.build import ensure
from jupyter_launch.docker_engine import Engine
from jupyter_launch.frontends import cli
from jupyter_launch.recipe import Recipe
from jupyter_launch.report import Report
from jupyter_launch.stores.base import Store
from tests.conftest import PYTHON, TINY
from tests.git_server import GitServer, commit
from tests.integration.test_builds import registry
from tests.package_index import Index, package_index
from tests.proofs import proves

pytestmark = pytest.mark.docker

TELL = "import json, os, colours\nprint(os.environ['WANDB_CONFIG'], colours.VERSION)\n"
CONTAINER = {"resource": "local-container", "docker": {"docker_image": PYTHON}}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "ann")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "vision")


@pytest.fixture
def images(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, bool]]]:
    """Give what was built for the launches of this test, and whether anew; remove it at the end."""
    made: list[tuple[str, bool]] = []

    def noted(engine: Engine, recipe: Recipe, report: Report) -> tuple[str, bool]:
        made.append(ensure(engine, recipe, report))
        return made[-1]

    monkeypatch.setattr(local_container, "ensure", noted)
    yield made
    client = docker.from_env()
    for image in {name for name, _ in made}:
        with contextlib.suppress(docker.errors.ImageNotFound):
            for name in client.images.get(image).tags or [image]:
                client.images.remove(name, force=True)


@pytest.fixture
def index() -> Iterator[Index]:
    with package_index() as made:
        made.add("colours")
        yield made


@pytest.fixture
def folder(index: Index) -> Path:
    """Give a folder whose program needs a package, and says so."""
    path = Path("code")
    path.mkdir()
    (path / "main.py").write_text(TELL, encoding="utf-8")
    (path / "requirements.txt").write_text("\n".join([*index.options, "colours"]))
    return path


def said(run: AbstractRun) -> list[str]:
    """Give what a run's program said, after all that was said while its image was built."""
    assert run.wait(timeout=120) == "finished", (run.run.reason, run.logs())
    return run.logs().splitlines()


def newest(store: Store) -> AbstractRun:
    return Api().run(store.runs()[0].id)


def layers(image: str) -> list[str]:
    found: list[str] = docker.from_env().images.get(image).attrs["RootFS"]["Layers"]
    return found


@proves("--requirements", "--base-image")
def test_requirements_are_installed_on_the_base_image(
    index: Index, images: list[tuple[str, bool]], store: Store
) -> None:
    Path("show.py").write_text(TELL, encoding="utf-8")
    Path("needs.txt").write_text("\n".join([*index.options, "colours"]))
    line = ["run", "show.py", "--base-image", PYTHON, "--requirements", "needs.txt"]
    assert cli.run([*line, "--set", "n=1"]) == 0
    assert said(newest(store))[-1] == '{"n": 1} 1.0'
    ((image, built),) = images
    assert built
    assert layers(image)[: len(layers(PYTHON))] == layers(PYTHON)
    Path("show.py").write_text(f"{TELL}print('changed')\n", encoding="utf-8")
    assert cli.run(line) == 0
    assert said(newest(store))[-1] == "changed"
    assert images[1:] == [(image, False)]


@proves("--base-image")
def test_a_base_image_is_what_the_program_runs_in(store: Store) -> None:
    Path("show.sh").write_text("#!/bin/sh\nls /bin/busybox\n", encoding="utf-8")
    assert cli.run(["run", "show.sh", "-B", TINY, "-r", "local-container"]) == 0
    assert said(newest(store)) == ["/bin/busybox"]


@proves("--dockerfile")
def test_a_dockerfile_of_the_source_makes_the_image(
    images: list[tuple[str, bool]], store: Store
) -> None:
    Path("code/docker").mkdir(parents=True)
    Path("code/greeting").write_text("hello", encoding="utf-8")
    text = f"FROM {TINY}\nCOPY greeting /greeting\nRUN echo {store.id} >> /greeting\n"
    Path("code/docker/Dockerfile").write_text(text, encoding="utf-8")
    line = ["run", "code", "-D", "docker/Dockerfile", "-E", "cat /greeting"]
    assert cli.run([*line, "-r", "local-container"]) == 0
    assert said(newest(store))[-1] == f"hello{store.id}"
    assert [built for _, built in images] == [True]


@proves("launch_add.build", "launch_add.uri", "launch_add.job", "--job-name")
def test_a_build_makes_an_image_and_a_job_and_queues_that(
    folder: Path, images: list[tuple[str, bool]]
) -> None:
    run = launch_add(
        uri=str(folder),
        build=True,
        config={**CONTAINER, "job_name": "colours"},
        parameters={"n": 1},
    )
    assert said(run)[-1] == '{"n": 1} 1.0'
    assert [built for _, built in images] == [True]
    assert (run.run.spec.job, run.run.spec.kind) == ("ann/vision/colours:v0", "job")
    again = launch_add(job="colours", resource="local-container", parameters={"n": 2})
    assert said(again)[-1] == '{"n": 2} 1.0'
    assert again.run.spec.job == run.run.spec.job


@pytest.mark.registry
@proves("launch.repository", "launch_add.repository")
@pytest.mark.parametrize("queued", [False, True], ids=["now", "queued"])
def test_a_built_image_is_pushed_to_the_repository_and_used_from_there(
    folder: Path, images: list[tuple[str, bool]], store: Store, tmp_path: Path, queued: bool
) -> None:
    with registry(tmp_path) as (host, _):
        given: dict[str, Any] = {"repository": f"{host}/team/code", "parameters": {"n": 1}}
        if queued:
            run: AbstractRun = launch_add(uri=str(folder), build=True, config=CONTAINER, **given)
        else:
            run = launch(None, config={"uri": str(folder), **CONTAINER}, synchronous=False, **given)
        assert said(run)[-1] == '{"n": 1} 1.0'
        name, _, digest = images[0][0].partition("@")
        assert name == f"{host}/team/code"
        found = requests.get(f"http://{host}/v2/team/code/manifests/{digest}", timeout=10)
        assert found.status_code == 200
        (job,) = store.jobs()
        assert images[0][0] in json.dumps(job.content)
        again = launch(None, job=str(job.ref), parameters={"n": 2}, synchronous=False)
        assert said(again) == ['{"n": 2} 1.0']  # and of no build
        assert (len(images), list(store.jobs())) == (1, [job])


@proves("--git-token", "launch_add.version", "launch.version")
@pytest.mark.parametrize("queued", [False, True], ids=["now", "queued"])
def test_a_private_repository_is_entered_with_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store, queued: bool
) -> None:
    old = commit(tmp_path / "r", {"main.py": "print('old')"})
    commit(tmp_path / "r", {"main.py": "print('new')"})
    monkeypatch.setenv("MY_TOKEN", "s3cr3t-value")
    server = GitServer(tmp_path)
    server.login = "x-access-token:s3cr3t-value"
    try:
        line = ["run", "-u", server.url("r"), "--git-token", "MY_TOKEN", "-d", PYTHON]
        assert cli.run(line) == 0
        assert said(newest(store)) == ["new"]
        config = {"uri": server.url("r"), "git": {"token": "MY_TOKEN"}, **CONTAINER}
        run = (
            launch_add(version=old, config=config)
            if queued
            else launch(None, version=old, config=config, synchronous=False)
        )
        assert said(run) == ["old"]
    finally:
        server.close()
