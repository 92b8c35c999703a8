"""Whether a program that ended badly is tried once more, and when."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jupyter_launch.retries import Outcome, attempts, backoff, pause, policy_of, told
from jupyter_launch.runs import Event, Queue, QueueRecord, Run
from jupyter_launch.spec import LaunchSpec
from jupyter_launch.spec_parts import LONGEST_PAUSE_S, Retry
from jupyter_launch.states import State

BAD = (State.CRASHED, State.PREEMPTED, State.FAILED)
WORDS = st.sampled_from(["crashed", "preempted", "failed"]) | st.integers(0, 300).map(str)
POLICIES = st.builds(
    Retry,
    max_retries=st.none() | st.integers(0, 100),
    on=st.lists(WORDS, max_size=5).map(tuple),
    backoff_s=st.floats(0, LONGEST_PAUSE_S),
    max_backoff_s=st.floats(0, LONGEST_PAUSE_S),
)
OUTCOMES = st.builds(Outcome, st.sampled_from(State), st.none() | st.integers(0, 300))
SPEC = {"docker": {"docker_image": "tiny"}}


@given(OUTCOMES, st.integers(0, 120), POLICIES)
def test_a_further_attempt_has_a_reason_and_a_bounded_wait(
    outcome: Outcome, attempt: int, policy: Retry
) -> None:
    wait_s = pause(outcome, attempt, policy)
    if wait_s is None:
        return
    assert attempt < (policy.max_retries or 0)
    assert outcome.state in BAD
    assert outcome.state in policy.on or str(outcome.exit_code) in policy.on
    assert 0 <= wait_s <= policy.max_backoff_s


@given(st.sampled_from([*set(State) - set(BAD)]), st.integers(0, 3), POLICIES)
def test_what_did_not_end_badly_is_never_tried_again(
    state: State, attempt: int, policy: Retry
) -> None:
    assert pause(Outcome(state, 1), attempt, policy) is None


@given(st.sampled_from(BAD), POLICIES)
def test_attempts_end(state: State, policy: Retry) -> None:
    tries = 0
    while pause(Outcome(state, 1), tries, policy) is not None:
        tries += 1
    assert tries in {0, policy.max_retries}


@given(POLICIES)
def test_waits_do_not_get_shorter(policy: Retry) -> None:
    waits = [backoff(n, policy) for n in range(101)]
    assert all(before <= after for before, after in pairwise(waits))


@pytest.mark.parametrize(
    ("outcome", "on", "again"),
    [
        (Outcome(State.FAILED, 3), ("3",), True),
        (Outcome(State.FAILED, 3), ("03",), True),
        (Outcome(State.FAILED, 3), ("4", "crashed", "preempted"), False),
        (Outcome(State.FAILED, 3), ("failed",), True),
        (Outcome(State.FAILED), ("failed",), True),
        (Outcome(State.CRASHED), ("crashed",), True),
        (Outcome(State.CRASHED), ("failed", "0", "1"), False),
        (Outcome(State.PREEMPTED, 143), ("preempted",), True),
        (Outcome(State.PREEMPTED, 143), ("143",), False),
        (Outcome(State.STOPPED, 143), ("failed", "143"), False),
        (Outcome(State.FINISHED, 0), ("0",), False),
    ],
)
def test_what_counts(outcome: Outcome, on: tuple[str, ...], *, again: bool) -> None:
    assert (pause(outcome, 0, Retry(max_retries=1, on=on)) is not None) == again


def test_waits_double_up_to_the_most() -> None:
    policy = Retry(max_retries=9, on=("failed",), backoff_s=10, max_backoff_s=60)
    waits = [pause(Outcome(State.FAILED, 1), n, policy) for n in range(5)]
    assert waits == [10, 20, 40, 60, 60]


def test_the_own_policy_counts_before_that_of_the_queue() -> None:
    queue = QueueRecord(Queue("me", "q"), retry={"max_retries": 5, "on": ["failed"]})
    own = LaunchSpec.from_dict({**SPEC, "retry": {"max_retries": 0}})
    none = LaunchSpec.from_dict(SPEC)
    assert policy_of(own, queue).max_retries == 0
    assert policy_of(none, queue) == Retry(max_retries=5, on=("failed",))
    assert policy_of(none, QueueRecord(Queue("me", "q"))) == Retry()
    assert policy_of(none, None) == Retry()
    strange = QueueRecord(Queue("me", "q"), retry={"max_retries": "often", "new": 1})
    assert policy_of(none, strange) == Retry()


@pytest.mark.parametrize(
    ("outcome", "text"),
    [
        (
            Outcome(State.FAILED, 3, "the program ended with exit code 3"),
            "attempt 1 of 4 failed with exit code 3; the next one in 10 s",
        ),
        (
            Outcome(State.FAILED, 137, "out of memory: the limit was 4 MiB\nmore"),
            (
                "attempt 1 of 4 failed with exit code 137 (out of memory: the limit was 4 MiB); "
                "the next one in 10 s"
            ),
        ),
        (
            Outcome(State.CRASHED, None, "gone"),
            "attempt 1 of 4 crashed (gone); the next one in 10 s",
        ),
    ],
)
def test_it_is_told(outcome: Outcome, text: str) -> None:
    assert told(outcome, 0, Retry(max_retries=3), 10.0) == text


def test_attempts_are_told_apart() -> None:
    def event(seq: int, state: str, **data: object) -> Event:
        return Event("r", seq, 100.0 + seq, "state", {"state": state, "reason": "", **data})

    reason = "attempt 1 of 2 crashed (gone; for good); the next one in 0 s"
    events = [
        event(1, "leased"),
        event(2, "starting"),
        event(3, "running"),
        Event("r", 4, 104.0, "notice", {"text": "x"}),
        event(5, "pending", retry_in=0.0, reason=reason),
        event(6, "leased"),
        event(7, "running"),
        event(8, "failed", exit_code=3),
    ]
    run = Run("r", "{}", State.FAILED, 0.0, attempt=1, started=107.0, ended=108.0, reason="why")
    first, second = attempts(run, events)
    assert first == (1, 103.0, 105.0, "attempt 1 of 2 crashed (gone; for good)")
    assert second == (2, 107.0, 108.0, "failed: why")
    assert len(attempts(run.evolve(attempt=0), events[:3])) == 1


@pytest.mark.parametrize("field", ["backoff_s", "max_backoff_s"])
@pytest.mark.parametrize("value", [1e308, float("inf"), float("nan"), 1.1e7, -1])
def test_no_pause_is_longer_than_a_clock_can_tell(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        Retry.model_validate({"max_retries": 1, field: value})
