"""What every store promises of jobs."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch.errors import StoreError
from jupyter_launch.job import Job, JobName, JobRef
from jupyter_launch.runs import Queue
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.stores import open_store
from jupyter_launch.stores.base import Store

NAME = JobName("ann", "my jobs", "Hello World")
QUEUE = Queue("ann", "default")
AT_ONCE = 4


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Give a fresh store of each kind."""
    if request.param == "postgres":
        url = request.getfixturevalue("postgres").new_database()
    else:
        url = f"sqlite:///{tmp_path}/store/launch.db"
    made = open_store(url)
    yield made
    made.close()


def content(image: str, **more: Any) -> dict[str, Any]:
    return {"spec": {"docker": {"docker_image": image}}, **more}


def find(store: Store, alias: str, name: JobName = NAME) -> Job | None:
    return store.find_job(JobRef(name, alias))


def image(job: Job | None) -> str | None:
    return job.spec.image if job else None


def test_versions_are_numbered_and_latest_moves(store: Store) -> None:
    first = store.put_job(NAME, content("a"), [])
    second = store.put_job(NAME, content("b", description="better"), [])
    assert [first.version, second.version] == [0, 1]
    assert [image(find(store, alias)) for alias in ("v0", "v1", "latest")] == ["a", "b", "b"]
    assert second.content["description"] == "better"
    assert find(store, "v2") is None
    assert find(store, "latest", NAME._replace(name="hello world")) is None


def test_aliases_point_to_one_version(store: Store) -> None:
    store.put_job(NAME, content("a"), ["prod", "x y"])
    made = store.put_job(NAME, content("b"), ["prod"])
    assert made.aliases == ("latest", "prod")
    assert [image(find(store, alias)) for alias in ("prod", "x y")] == ["b", "a"]


def test_the_same_again_makes_no_version_but_moves_aliases(store: Store) -> None:
    store.put_job(NAME, content("a"), [])
    again = store.put_job(NAME, content("a", description="other words"), ["prod"])
    assert (again.version, again.aliases) == (0, ("latest", "prod"))
    assert len(store.jobs()) == 1


def test_going_back_to_what_was_is_a_new_version(store: Store) -> None:
    for name in ("a", "b", "a"):
        store.put_job(NAME, content(name), [])
    assert [(job.version, image(job)) for job in store.jobs()] == [(2, "a"), (1, "b"), (0, "a")]


def test_jobs_are_listed_by_whose_they_are(store: Store) -> None:
    other = JobName("bob", "p", "train")
    for name in (NAME, other, NAME._replace(project="z")):
        store.put_job(name, content("a"), [])
    assert [job.name for job in store.jobs("bob")] == [other]
    assert [job.name.project for job in store.jobs("ann")] == ["my jobs", "z"]
    assert [job.name for job in store.jobs("ann", "z")] == [NAME._replace(project="z")]


def test_a_deleted_version_is_gone_and_its_number_is_not_given_again(store: Store) -> None:
    store.put_job(NAME, content("a"), ["old"])
    newest = store.put_job(NAME, content("b"), ["prod"])
    store.delete_job(newest)
    assert find(store, "v1") is None
    assert find(store, "prod") is None
    assert image(find(store, "latest")) == "a"
    assert store.put_job(NAME, content("b"), []).version == 2


def test_the_last_version_takes_the_name_with_it(store: Store) -> None:
    store.delete_job(store.put_job(NAME, content("a"), ["prod"]))
    assert store.jobs() == []
    assert [find(store, alias) for alias in ("latest", "prod", "v0")] == [None] * 3
    assert store.put_job(NAME, content("a"), []).version == 1


def test_a_job_that_a_run_needs_stays(store: Store) -> None:
    job = store.put_job(NAME, content("a"), [])
    spec = LaunchSpec.from_dict({"job": str(job.ref)})
    store.ensure_queue(QUEUE)
    run = store.submit(spec, queue=QUEUE)
    with pytest.raises(StoreError, match=f"needed by {run.id}") as refused:
        store.delete_job(job)
    assert f"jupyter launch stop {run.id}" in refused.value.hint
    assert image(find(store, "latest")) == "a"
    store.request_stop(run.id)
    store.delete_job(job)
    assert find(store, "v0") is None


def _put(url: str, contents: list[Mapping[str, Any]]) -> None:
    store = open_store(url)
    for said in contents:
        store.put_job(NAME, said, [])
    store.close()


def test_processes_that_make_versions_at_once_lose_none(store: Store) -> None:
    context = multiprocessing.get_context("spawn")
    made = [[content(f"{who}-{n}") for n in range(10)] for who in range(AT_ONCE)]
    writers = [context.Process(target=_put, args=(store.address, one)) for one in made]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    jobs = store.jobs()
    assert [job.version for job in jobs] == list(range(10 * AT_ONCE - 1, -1, -1))
    assert {image(job) for job in jobs} == {f"{w}-{n}" for w in range(AT_ONCE) for n in range(10)}
    assert find(store, "latest") == jobs[0]
