"""The parts of a launch spec, in W&B's field names."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from .option import opt


class Part(BaseModel):
    """A frozen piece of a spec that refuses names it does not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, ser_json_inf_nan="constants"
    )


class Docker(Part):
    """The image part of a spec."""

    docker_image: Annotated[str | None, opt("-d", "--docker-image", metavar="IMAGE")] = Field(
        None, description="image to run, or to run the code in"
    )
    user_id: int | None = None


class Git(Part):
    """The git part of a spec.

    Once submitted, `version` is the full commit that `ref`, the branch or tag asked for, stood
    for; `snapshot` names the stored copy of the files of a repository that only the submitter's
    machine has. `token` names the environment variable that holds the token of a private one.
    """

    version: Annotated[str | None, opt("-g", "--git-version", metavar="REF")] = Field(
        None, description="commit, tag or branch of the git repository"
    )
    repo: str | None = None
    ref: str | None = None
    token: Annotated[str | None, opt("--git-token", metavar="NAME")] = Field(
        None, description="environment variable with the token of a private git repository"
    )
    snapshot: str | None = None


class Overrides(Part):
    """What one launch changes about its source."""

    args: tuple[str, ...] = ()
    run_config: Annotated[
        dict[str, Any], opt("-c", "--config", metavar="FILE|JSON|$VAR", read="mapping")
    ] = Field(default_factory=dict, description="run config, given to the program as WANDB_CONFIG")
    entry_point: Annotated[
        tuple[str, ...], opt("-E", "--entry-point", metavar="COMMAND", read="words")
    ] = Field((), description="command to run instead of the source's own")
    artifacts: dict[str, Any] = Field(default_factory=dict)
    files: dict[str, Any] = Field(default_factory=dict)
    dockerfile: Annotated[str | None, opt("-D", "--dockerfile", metavar="PATH")] = Field(
        None, description="Dockerfile of the image to build, a file of the source"
    )
    working_dir: Annotated[str | None, opt("--working-dir", metavar="FOLDER")] = Field(
        None, description="folder of the source to run in"
    )

    @field_validator("args", "entry_point")
    @classmethod
    def _check_words(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any("\0" in word for word in value):
            raise ValueError("no program can be given a NUL character")
        return value

    @field_validator("dockerfile", "working_dir")
    @classmethod
    def _check_inside(cls, value: str | None) -> str | None:
        if value is not None and "\0" in value:
            raise ValueError("a NUL character cannot be part of it")
        return value


class BaseImage(Part):
    """An image to build on."""

    base_image: str | None = None


class Builder(Part):
    """How an image is built for a source. `type` and `destination` are W&B's."""

    type: Literal["docker", "noop"] | None = None
    base_image: Annotated[str | None, opt("-B", "--base-image", metavar="IMAGE")] = Field(
        None, description="image to build on; default: that of the launch"
    )
    accelerator: BaseImage = BaseImage()
    cuda: BaseImage = BaseImage()
    destination: str | None = None
    inherit_pip_config: bool | None = None

    @property
    def image(self) -> str | None:
        """The image to build on, if one is named."""
        return self.base_image or self.accelerator.base_image or self.cuda.base_image


class Registry(Part):
    """Where built images are pushed to. `type` and `uri` are W&B's."""

    url: Annotated[str | None, opt("--repository", metavar="REPOSITORY")] = Field(
        None, description="registry's repository that the built image is pushed to"
    )
    uri: str | None = None
    type: str | None = None


LONGEST_PAUSE_S = 1e7
"""How long may be waited before another attempt, in seconds: 115 days."""


class Retry(Part):
    """What is done when a program ends otherwise than well. Without it, the queue's policy counts.

    `on` lists the outcomes after which it is tried once more: ``crashed``, ``preempted``,
    ``failed``, or exit codes as text. Before attempt `n + 1` it waits ``backoff_s * 2 ** (n - 1)``
    seconds, at most `max_backoff_s`.
    """

    max_retries: Annotated[int | None, opt("--retries", metavar="N", read="number")] = Field(
        None, ge=0, le=100, description="how often it is tried once more when it ends badly"
    )
    on: Annotated[tuple[str, ...], opt("--retry-on", metavar="OUTCOME", read="list")] = Field(
        ("crashed", "preempted"), description="after what: crashed, preempted, failed, exit codes"
    )
    backoff_s: float = Field(10.0, ge=0, le=LONGEST_PAUSE_S)
    max_backoff_s: float = Field(600.0, ge=0, le=LONGEST_PAUSE_S)

    @field_validator("max_retries", mode="before")
    @classmethod
    def _check_count(cls, value: Any) -> Any:
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @field_validator("on", mode="before")
    @classmethod
    def _check_outcomes(cls, value: Any) -> Any:
        for outcome in value if isinstance(value, (list, tuple)) else ():
            if outcome not in _OUTCOMES and not str(outcome).isdecimal():
                known = ", ".join(_OUTCOMES)
                raise ValueError(f"{outcome!r} is no outcome: {known}, or an exit code")
        return tuple(map(str, value)) if isinstance(value, (list, tuple)) else value


_OUTCOMES = ("crashed", "preempted", "failed")


class Source(Part):
    """The submitter's own code: a notebook cell, or a script or folder.

    `body` is a cell's text, whole. `snapshot` names the stored copy of the files (a script, a
    folder, a cell's included files); `main` is the file in it that is run. `python` is the
    submitter's interpreter, which a run on the submitter's own host uses.
    """

    kind: Literal["cell", "path"]
    body: str | None = None
    main: str | None = None
    path: str | None = None
    snapshot: str | None = None
    include: tuple[str, ...] = ()
    python: str | None = None
    python_version: str | None = None


class Origin(Part):
    """Where a launch was asked for: in a notebook, by its path, and its cell, by that one's id."""

    notebook: str | None = None
    cell: str | None = None
