"""Jobs and repositories, launched: from Python and from the command line, on real backends."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_launch import AbstractRun, Api, LaunchSpec, SpecError, Unsupported, launch, launch_add
from jupyter_launch.errors import QueueNotFound, StoreError
from jupyter_launch.frontends import cli
from jupyter_launch.runs import Queue, QueueRecord
from jupyter_launch.states import State
from jupyter_launch.stores.base import Store
from tests.conftest import PYTHON, TINY
from tests.proofs import proves

TELL = (
    "import json, os, sys\n"
    "config = json.loads(os.environ['WANDB_CONFIG'])\n"
    "files = sorted(os.listdir('.'))\n"
    "print(json.dumps({'config': config, 'argv': sys.argv[1:], 'files': files}))\n"
)
HERE = {"resource": "local-process"}


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_LAUNCH_ENTITY", "ann")
    monkeypatch.setenv("JUPYTER_LAUNCH_PROJECT", "vision")


@pytest.fixture
def api() -> Api:
    return Api()


class Clone:
    """A git repository in a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "--quiet", "--initial-branch=trunk")

    def git(self, *words: str) -> str:
        who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        done = subprocess.run(
            ["git", *who, *words], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        """Write files, commit all, and give the commit."""
        for name, text in files.items():
            (self.path / name.replace("__", ".")).write_text(text, encoding="utf-8")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message=x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Give a repository whose `main.py` tells what it was given."""
    made = Clone(tmp_path / "clone")
    made.commit(main__py=TELL)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder whose `main.py` tells what it was given."""
    path = tmp_path / "code"
    path.mkdir()
    (path / "main.py").write_text(TELL, encoding="utf-8")
    return path


@pytest.fixture
def jupyter(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run ``jupyter launch`` and give its exit code and what it printed."""

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.run(words)
        return (code, *capsys.readouterr())

    return run


def told(run: AbstractRun) -> dict[str, Any]:
    assert run.wait(60) == "finished", run.logs()
    data: dict[str, Any] = json.loads(run.logs())
    return data


def notices(run: AbstractRun) -> list[str]:
    return [event.data["text"] for event in run.events() if event.kind == "notice"]


class TestWhatWandbDocuments:
    """The calls of W&B's documents, as they are written there."""

    @proves("launch.job", "launch.parameters")
    @pytest.mark.docker
    def test_a_job_with_parameters(self, folder: Path) -> None:
        api = Api(entity="wandb", project="jobs")
        api.create_job("code", str(folder), name="Hello World")
        job = "wandb/jobs/Hello World:latest"
        run = launch(api, job, parameters={"epochs": 5})
        assert run.run.state is State.FINISHED
        assert told(run)["config"] == {"epochs": 5}
        assert run.run.resource == "local-container"
        assert run.run.spec.job == "wandb/jobs/Hello World:v0"

    @proves("launch_add.uri", "launch_add.parameters")
    @pytest.mark.docker
    def test_a_project_uri_with_parameters(self, clone: Clone) -> None:
        project_uri = str(clone.path)
        params = {"alpha": 0.5, "l1_ratio": 0.01}
        run = launch_add(uri=project_uri, parameters=params)
        assert told(run)["config"] == params


class TestRepositories:
    def test_the_commit_is_recorded_and_launched_again(self, clone: Clone) -> None:
        first = clone.git("rev-parse", "HEAD")
        run = launch(None, config={"uri": str(clone.path), **HERE}, synchronous=False)
        assert told(run)["files"] == ["main.py"]
        clone.commit(new__py="")
        again = run.relaunch()
        assert told(AbstractRun(again.launcher, again.id))["files"] == ["main.py"]
        for spec in (run.run.spec, again.run.spec):
            assert (spec.git.version, spec.git.ref) == (first, "trunk")

    @proves("launch.version")
    def test_a_version_is_a_commit_a_tag_or_a_branch(self, clone: Clone) -> None:
        first = clone.git("rev-parse", "HEAD")
        clone.git("tag", "v1")
        clone.git("branch", "side")
        clone.commit(new__py="")
        for version in (first, first[:10], "v1", "side"):
            spec = {"uri": str(clone.path), **HERE}
            run = launch(None, version=version, config=spec, synchronous=False)
            assert told(run)["files"] == ["main.py"], version
        run = launch(None, config={"uri": str(clone.path), **HERE}, synchronous=False)
        assert told(run)["files"] == ["main.py", "new.py"]

    def test_it_runs_when_the_repository_is_gone(self, clone: Clone) -> None:
        run = launch(None, config={"uri": str(clone.path), **HERE}, synchronous=False)
        told(run)
        clone.path.rename(clone.path.with_name("gone"))
        again = run.relaunch()
        assert told(AbstractRun(again.launcher, again.id))["files"] == ["main.py"]

    def test_without_a_main_the_scripts_are_listed(self, clone: Clone, store: Store) -> None:
        clone.git("mv", "main.py", "train.py")
        clone.commit(**{"-rf__sh": ""})
        run = launch(None, config={"uri": str(clone.path), **HERE}, synchronous=False)
        assert run.wait(60) == "failed"
        reason = store.get(run.id).reason
        assert "has no main.py" in reason
        assert "It has: '-rf.sh', 'train.py'." in reason
        assert '-E "python train.py"' in reason
        given = {"uri": str(clone.path), **HERE}
        for words in (["train.py"], ["python", "train.py"]):
            named = launch(None, entry_point=words, config=given, synchronous=False)
            assert told(named)["files"] == ["-rf.sh", "train.py"]

    def test_a_folder_that_is_no_repository_is_launched_as_it_is(self, folder: Path) -> None:
        run = launch(None, config={"uri": str(folder), **HERE}, synchronous=False)
        assert told(run)["files"] == ["main.py"]
        assert run.run.spec.kind == "path"

    @proves("--working-dir")
    def test_a_folder_inside_is_where_it_runs(self, clone: Clone) -> None:
        (clone.path / "sub").mkdir()
        (clone.path / "sub/main.py").write_text(TELL, encoding="utf-8")
        clone.commit()
        uri = f"{clone.path}#subdirectory=sub"
        assert told(launch(None, config={"uri": uri, **HERE}, synchronous=False))["files"] == [
            "main.py"
        ]
        overrides = {"working_dir": "sub", "entry_point": ["python", "../main.py"]}
        given = {"uri": str(clone.path), "overrides": overrides, **HERE}
        assert told(launch(None, config=given, synchronous=False))["files"] == ["main.py"]

    @pytest.mark.docker
    def test_a_container_runs_in_a_folder_inside_as_a_user(self, clone: Clone) -> None:
        (clone.path / "sub").mkdir()
        (clone.path / "sub/x").write_text("", encoding="utf-8")
        clone.commit()
        look = "import os; print(os.getcwd(), os.getuid(), sorted(os.listdir('..')))"
        overrides = {"working_dir": "./sub/", "entry_point": ["python3", "-c", look]}
        spec = {"uri": str(clone.path), "overrides": overrides, "docker": {"user_id": 1234}}
        run = launch(None, config=spec, docker_image=PYTHON, synchronous=False)
        assert run.wait(60) == "finished"
        assert run.logs() == "/work/sub 1234 ['main.py', 'sub']\n"

    @pytest.mark.parametrize("folder_name", ["nowhere", "../..", "main.py"])
    def test_a_working_dir_that_is_not_there_says_so(
        self, clone: Clone, store: Store, folder_name: str
    ) -> None:
        given = {"uri": str(clone.path), "overrides": {"working_dir": folder_name}, **HERE}
        run = launch(None, config=given, synchronous=False)
        assert run.wait(60) == "failed"
        assert f"The code has no folder '{folder_name}'" in store.get(run.id).reason

    @pytest.mark.parametrize(
        ("given", "field"),
        [
            ({"uri": "/nowhere/at/all"}, "uri"),
            ({"uri": "-x"}, "uri"),
            ({"uri": "CLONE", "git": {"version": "nope"}}, "version"),
            ({"uri": "CLONE", "git": {"version": "--upload-pack=x"}}, "version"),
        ],
    )
    def test_what_cannot_be_found_is_refused_before_anything_is_recorded(
        self, clone: Clone, store: Store, given: dict[str, Any], field: str
    ) -> None:
        given = {**given, "uri": given["uri"].replace("CLONE", str(clone.path))}
        for function in (lambda **more: launch(None, **more), launch_add):
            with pytest.raises(SpecError) as refused:
                function(config=given)
            assert refused.value.field == field
            assert refused.value.hint
        assert store.runs() == []

    def test_a_run_of_wandb_is_refused_with_a_way_out(self, store: Store) -> None:
        with pytest.raises(Unsupported) as refused:
            launch_add(uri="https://wandb.example.org/team/project/runs/abc123")
        assert refused.value.hint
        assert store.runs() == []


class TestJobs:
    def test_each_source_makes_a_job(self, api: Api, clone: Clone, folder: Path) -> None:
        jobs = [
            api.create_job("git", str(clone.path), name="g", aliases=["prod"]),
            api.create_job("code", str(folder), name="c"),
            api.create_job("image", "python:3.11-slim", name="i"),
        ]
        assert [job.aliases for job in jobs] == [
            ("latest", "prod"), ("latest",), ("latest", "3.11-slim")
        ]  # fmt: skip
        assert [job.spec.kind for job in jobs] == ["git", "path", "image"]
        for name in ("g:prod", "vision/c", "ann/vision/c:v0"):
            run = launch(api, name, config=HERE, parameters={"a": 1}, synchronous=False)
            assert told(run) == {"config": {"a": 1}, "argv": [], "files": ["main.py"]}

    def test_a_run_is_of_the_version_that_was_the_newest_then(self, api: Api, folder: Path) -> None:
        api.create_job("code", str(folder), name="c")
        run = launch(api, "c", config=HERE, synchronous=False)
        told(run)
        (folder / "new.py").write_text("", encoding="utf-8")
        assert api.create_job("code", str(folder), name="c").version == 1
        again = run.relaunch()
        assert told(AbstractRun(again.launcher, again.id))["files"] == ["main.py"]
        assert again.run.spec.job == "ann/vision/c:v0"
        assert told(launch(api, "c", config=HERE, synchronous=False))["files"] == [
            "main.py", "new.py"
        ]  # fmt: skip

    @proves("launch.version")
    def test_a_launch_may_choose_another_version_of_the_repository(
        self, api: Api, clone: Clone
    ) -> None:
        api.create_job("git", str(clone.path), name="g")
        newer = clone.commit(new__py="")
        run = launch(api, "g", version="trunk", config=HERE, synchronous=False)
        assert told(run)["files"] == ["main.py", "new.py"]
        assert run.run.spec.git.version == newer
        api.create_job("image", TINY, name="i")
        with pytest.raises(SpecError, match="not of a git repository") as refused:
            launch(api, "i", version="trunk")
        assert refused.value.field == "version"

    @proves("launch.job", "launch_add.job")
    @pytest.mark.parametrize("function", [launch, launch_add])
    @pytest.mark.parametrize(
        ("name", "what", "advice"),
        [
            ("trian", "There is no job 'ann/vision/trian'", "Did you mean 'ann/vision/train'?"),
            ("speech/train", "There is no job", "Did you mean 'ann/vision/train'?"),
            ("train:v7", "has no version 'v7'", "It has: v0, latest, prod."),
            ("a/b/c/d", "names no job", "entity/project/name:alias"),
        ],
    )
    def test_a_job_that_is_not_there_is_found_out_before_anything_is_recorded(
        self, api: Api, store: Store, function: Any, name: str, what: str, advice: str
    ) -> None:
        api.create_job("image", TINY, name="train", aliases=["prod"])
        with pytest.raises(SpecError, match=what) as refused:
            function(api, name) if function is launch else function(job=name)
        assert refused.value.field == "job"
        assert advice in refused.value.hint
        assert store.runs() == []

    def test_a_config_that_does_not_fit_the_inputs_is_refused(
        self, api: Api, folder: Path, store: Store
    ) -> None:
        inputs = {
            "type": "object",
            "properties": {"epochs": {"type": "integer", "maximum": 9}},
            "required": ["epochs"],
        }
        api.create_job("code", str(folder), name="c", inputs=inputs)
        for config, complaint in (
            ({"epochs": 10}, "epochs: 10 is greater than the maximum of 9"),
            ({"epochs": "3"}, "epochs: '3' is not of type 'integer'"),
            ({}, "'epochs' is a required property"),
        ):
            with pytest.raises(SpecError, match=complaint) as refused:
                launch(api, "c", config=HERE, parameters=config)
            assert refused.value.field == "overrides.run_config"
        assert store.runs() == []
        run = launch(api, "c", config=HERE, parameters={"epochs": 9}, synchronous=False)
        assert told(run)["config"] == {"epochs": 9}

    @proves("--job-name")
    def test_a_launch_makes_a_job_of_its_source(self, api: Api, folder: Path) -> None:
        source = {"uri": str(folder), "job_name": "made", **HERE}
        run = launch(None, config=source, parameters={"lr": 0.5}, synchronous=False)
        assert told(run)["config"] == {"lr": 0.5}
        job = api.job("made")
        assert notices(run) == [f"This is the job {job.ref}."]
        assert job.inputs["properties"] == {"lr": {"type": "number"}}
        again = launch(api, "made", config=HERE, parameters={"lr": 1}, synchronous=False)
        assert told(again)["config"] == {"lr": 1}
        with pytest.raises(SpecError, match="lr: 'x' is not of type 'number'"):
            launch(api, "made", config=HERE, parameters={"lr": "x"})

    @pytest.mark.docker
    def test_a_job_whose_image_is_gone_fails_with_its_name(self, api: Api, store: Store) -> None:
        api.create_job("image", "localhost:1/gone:v1", name="i")
        run = launch(api, "i", synchronous=False)
        assert run.wait(60) == "failed"
        assert "localhost:1/gone:v1" in store.get(run.id).reason

    def test_a_job_that_a_run_needs_is_not_deleted(self, api: Api, store: Store) -> None:
        job = api.create_job("image", TINY, name="i")
        store.create_queue(QueueRecord(Queue("ann", "q"), "local-container"))
        needs = store.submit(LaunchSpec.from_dict({"job": str(job.ref)}), queue=Queue("ann", "q"))
        with pytest.raises(StoreError, match=f"needed by {needs.id}"):
            api.delete_job("i")
        store.request_stop(needs.id)
        api.delete_job("i")
        assert api.jobs() == []

    def test_a_run_whose_job_was_deleted_cannot_be_launched_again(
        self, api: Api, folder: Path, store: Store
    ) -> None:
        api.create_job("code", str(folder), name="c")
        run = launch(api, "c", config=HERE, synchronous=False)
        told(run)
        api.delete_job("c")
        with pytest.raises(SpecError, match="There is no job"):
            run.relaunch()
        assert len(store.runs()) == 1


class TestCommandLine:
    def test_a_job_from_making_to_deleting(
        self, jupyter: Callable[..., tuple[int, str, str]], folder: Path, clone: Clone
    ) -> None:
        (folder / "train.py").write_text(TELL, encoding="utf-8")
        schema = '{"properties": {"lr": {"type": "number"}}}'
        words = ["-e", "me", "-p", "speech", "-n", "train", "-a", "prod", "-a", "x"]
        code, out, err = jupyter(
            "job", "create", "code", str(folder), *words, "-E", "python train.py", "-r", "3.11",
            "-s", schema, "-d", "what it is for",
        )  # fmt: skip
        assert (code, out, err) == (0, "made me/speech/train:v0\n", "")
        code, out, _ = jupyter(
            "job", "create", "git", str(clone.path), "-g", "trunk", "-n", "g",
            "-E", "main.py", "--json",
        )  # fmt: skip
        commit = clone.git("rev-parse", "HEAD")
        assert json.loads(out)["spec"]["git"]["version"] == commit
        code, out, _ = jupyter("run", "-j", "g", "-r", "local-process", "--json")
        run = json.loads(out)
        assert (run["state"], run["spec"]["job"]) == ("finished", "ann/vision/g:v0")
        code, out, _ = jupyter("job", "list")
        assert [line.split()[0] for line in out.splitlines()] == [
            "JOB", "ann/vision/g", "me/speech/train"
        ]  # fmt: skip
        assert "latest, prod, x" in out
        code, out, _ = jupyter("job", "list", "-e", "me", "-p", "speech", "--json")
        assert [(job["job"], job["version"]) for job in json.loads(out)] == [
            ("me/speech/train", "v0")
        ]
        code, out, _ = jupyter("job", "describe", "me/speech/train:prod")
        assert "what it is for" in out
        assert '"lr"' in out
        assert '"python"' in out
        code, out, _ = jupyter(
            "run", "-j", "me/speech/train:x", "--set", "lr=0.5", "-r", "local-process", "--json"
        )
        run = json.loads(out)
        assert (run["state"], run["spec"]["job"]) == ("finished", "me/speech/train:v0")
        code, out, _ = jupyter("job", "delete", "me/speech/train:prod")
        assert (code, out) == (0, "deleted me/speech/train:v0\n")
        code, _, err = jupyter("job", "describe", "me/speech/train")
        assert code == 2
        assert err.startswith("There is no job 'me/speech/train'")

    @pytest.mark.parametrize(
        ("words", "complaint"),
        [
            (["code", "nowhere"], "There is no script or folder 'nowhere'"),
            (["git", "nowhere"], "nowhere"),
            (["image", "x", "-n", "a/b"], "A job cannot be called 'a/b'"),
            (["image", "x", "-a", "latest"], "'latest' cannot be given as an alias"),
            (["image", "x", "-a", "v3"], "'v3' cannot be given as an alias"),
            (["image", "x", "-s", "{type: 5}"], "no JSON schema"),
            (["image", "x", "-r", "3.11"], "python_version has no effect on an image"),
            (["image", "x", "-g", "main"], "A version is of a git repository"),
            (["code", ".", "-r", "eleven"], "a version of Python is written 3.11"),
        ],
    )
    def test_a_job_that_could_not_be_launched_is_not_made(
        self,
        jupyter: Callable[..., tuple[int, str, str]],
        store: Store,
        words: list[str],
        complaint: str,
    ) -> None:
        Path("main.py").write_text("", encoding="utf-8")
        code, out, err = jupyter("job", "create", *words)
        assert (code, out) == (2, "")
        assert complaint in err
        assert store.jobs() == []


class TestTemplateVariables:
    CONFIG = '{"local-process": {"nice": "{{niceness}}"}}'
    VARIABLES = (
        '{"niceness": {"schema": {"type": "integer", "minimum": 1, "maximum": 9, "default": 2}}}'
    )
    NICE = "import os; print(os.nice(0))"

    @pytest.fixture(autouse=True)
    def queue(self, jupyter: Callable[..., tuple[int, str, str]]) -> None:
        made = jupyter(
            "queue", "create", "gpu", "-r", "local-process", "--config", self.CONFIG,
            "--template-variables", self.VARIABLES,
        )  # fmt: skip
        assert made == (0, "made ann/gpu\n", "")

    def add(self, **given: Any) -> AbstractRun:
        config = {"source": {"kind": "cell", "body": self.NICE}}
        return launch_add(queue_name="gpu", config=config, **given)

    @proves("launch_add.template_variables")
    def test_values_are_put_into_the_queues_config(self) -> None:
        chosen = self.add(template_variables={"niceness": 5})
        assert chosen.wait(60) == "finished"
        usual = self.add()
        assert usual.wait(60) == "finished"
        assert [int(run.logs()) - os.nice(0) for run in (chosen, usual)] == [5, 2]
        assert usual.run.spec.template_variables == {"niceness": 2}

    @proves("launch_add.template_variables")
    @pytest.mark.parametrize(
        ("values", "complaint"),
        [
            ({"niceness": 10}, "9"),
            ({"niceness": "5"}, "niceness"),
            ({"nicenes": 5}, "niceness"),
        ],
    )
    def test_what_is_not_allowed_is_refused_before_it_is_queued(
        self, store: Store, values: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(SpecError) as refused:
            self.add(template_variables=values)
        assert complaint in str(refused.value)
        assert refused.value.field.startswith("template_variables")
        assert store.runs() == []

    def test_the_command_line_checks_the_same(
        self, jupyter: Callable[..., tuple[int, str, str]], store: Store
    ) -> None:
        Path("main.py").write_text(self.NICE, encoding="utf-8")
        code, _, err = jupyter("add", "main.py", "-q", "gpu", "-v", "niceness=10")
        assert code == 2
        assert "9" in err
        assert store.runs() == []
        code, out, _ = jupyter("add", "main.py", "-q", "gpu", "-v", "niceness=3", "--json")
        assert json.loads(out)["spec"]["template_variables"] == {"niceness": 3}

    def test_a_launch_now_has_none(self, store: Store) -> None:
        with pytest.raises(SpecError, match="takes no template variables") as refused:
            launch(None, docker_image=TINY, config={"template_variables": {"niceness": 1}})
        assert refused.value.field == "template_variables"
        with pytest.raises(QueueNotFound):
            launch_add(queue_name="nope", docker_image=TINY, template_variables={"niceness": 1})
        assert store.runs() == []

    @pytest.mark.parametrize(
        ("config", "variables", "complaint"),
        [
            ('{"local-process": {"nice": "{{n}}"}}', "{}", "{{n}}"),
            ("{}", '{"n": {"schema": {"type": "whole"}}}', "n"),
            ("{}", '{"n": {"schema": {"type": "integer", "maximum": 1, "default": 2}}}', "n"),
        ],
    )
    def test_a_queue_that_could_not_work_is_not_made(
        self,
        jupyter: Callable[..., tuple[int, str, str]],
        store: Store,
        config: str,
        variables: str,
        complaint: str,
    ) -> None:
        words = ["queue", "create", "new", "--config", config, "--template-variables", variables]
        code, out, err = jupyter(*words)
        assert (code, out) == (2, "")
        assert complaint in err
        assert Queue("ann", "new") not in store.queues()


def test_fields_nobody_knows_are_told_once(store: Store) -> None:
    cell = {
        "source": {"kind": "cell", "body": "1"},
        "entrypoint": ["x"],
        "_resume_count": 1,
        **HERE,
    }
    run = launch(None, config=cell, synchronous=False)
    assert run.wait(60) == "finished"
    told_of = "entrypoint (did you mean overrides.entry_point?), _resume_count"
    kept = "Nobody here knows these fields of the launch spec, which are kept"
    assert notices(run) == [f"{kept}: {told_of}"]
    assert run.run.spec.to_dict()["entrypoint"] == ["x"]
