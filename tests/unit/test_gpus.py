"""What `nvidia-smi` says of GPUs is read, asked for rarely, and nothing waits for it for ever."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jupyter_launch.backends import gpus
from jupyter_launch.backends.gpus import NOTHING, GpuMeter, GpuUse, parse, visible

MIB = 2**20


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Give a function that puts a program of that name on PATH; it gives where that notes calls."""
    calls = tmp_path / "calls"

    def install(body: str) -> Path:
        program = tmp_path / "bin" / "nvidia-smi"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f'#!/bin/sh\necho "$@" >> {calls}\n{body}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
        return calls

    return install


@pytest.mark.parametrize(
    ("answer", "use"),
    [
        ("37, 1024\n", GpuUse(0.37, 1024 * MIB)),
        ("100, 80000\n0, 3\n", GpuUse(0.5, 80003 * MIB)),
        ("[N/A], 17\n", GpuUse(None, 17 * MIB)),
        ("[Not Supported], [Not Supported]\n20, [N/A]\n", GpuUse(0.2, None)),
        ("No devices were found\n", NOTHING),
        ("", NOTHING),
    ],
)
def test_answers_are_read(answer: str, use: GpuUse) -> None:
    assert parse(answer) == use


def test_all_or_some_are_asked_for(smi: Callable[[str], Path]) -> None:
    calls, meter = smi("printf '40, 1000\\n60, 24\\n'"), GpuMeter()
    assert meter.read() == GpuUse(0.5, 1024 * MIB)
    assert meter.read(["0", "GPU-7f"]) == GpuUse(0.5, 1024 * MIB)
    query = "--query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits"
    assert calls.read_text().splitlines() == [query, f"{query} --id=0,GPU-7f"]


def test_nobody_asks_again_at_once(
    smi: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls, meter = smi("echo 40, 1000"), GpuMeter()
    for _ in range(3):
        assert meter.read().share == 0.4
    assert len(calls.read_text().splitlines()) == 1
    monkeypatch.setattr(gpus, "KEEP_S", 0.0)
    for meter in (GpuMeter(), GpuMeter()):
        meter.read()
        meter.read()
    assert len(calls.read_text().splitlines()) == 5


@pytest.mark.parametrize("body", ["echo 40, 1000; exit 9", "exec sleep 600", "printf '\\377'"])
def test_no_answer_is_none_and_is_remembered(
    smi: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    monkeypatch.setattr(gpus, "TIMEOUT_S", 0.5)
    calls, meter = smi(body), GpuMeter()
    assert [meter.read(), meter.read()] == [NOTHING] * 2
    assert len(calls.read_text().splitlines()) == 1


def test_without_the_program_nobody_can_tell(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert GpuMeter().read() == NOTHING


@pytest.mark.parametrize(
    ("value", "ids"),
    [(None, []), ("0,2", ["0", "2"]), ("GPU-7f", ["GPU-7f"]), ("", None), ("-1", None)],
)
def test_which_gpus_programs_may_use(
    monkeypatch: pytest.MonkeyPatch, value: str | None, ids: list[str] | None
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if value is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
    assert visible() == ids
