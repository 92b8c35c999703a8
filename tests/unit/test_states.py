"""The states of a run and the moves between them."""

from __future__ import annotations

import pytest

from jupyter_launch.states import OWNED, TERMINAL, TRANSITIONS, State, legal


def reachable(start: State) -> set[State]:
    found, look = {start}, [start]
    while look:
        new = TRANSITIONS[look.pop()] - found
        found |= new
        look += new
    return found


def test_states_are_equal_to_the_words_of_wandb() -> None:
    words = "pending leased starting running stopping finished failed stopped preempted crashed"
    assert [*State] == words.split()
    assert f"{State.RUNNING}" == str(State.RUNNING) == State("running") == "running"


def test_every_state_is_waiting_or_owned_or_terminal() -> None:
    assert OWNED | TERMINAL | {State.PENDING} == set(State)
    assert not OWNED & TERMINAL
    assert {state for state in State if state.terminal} == TERMINAL


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_follows_an_end(state: State) -> None:
    assert not any(legal(state, after) for after in State)


@pytest.mark.parametrize("state", sorted(set(State) - TERMINAL))
def test_every_run_can_be_stopped_and_can_end(state: State) -> None:
    assert legal(state, State.STOPPED)
    assert reachable(state) & TERMINAL


@pytest.mark.parametrize("state", sorted(OWNED))
def test_a_run_whose_owner_is_lost_can_be_given_up(state: State) -> None:
    assert legal(state, State.CRASHED)


def test_every_state_is_reached_from_the_first() -> None:
    assert reachable(State.PENDING) == set(State)


def test_what_is_given_back_or_tried_once_more_goes_back_to_the_queue() -> None:
    back = [state for state in State if legal(state, State.PENDING)]
    assert back == [State.LEASED, State.STARTING, State.RUNNING]


def test_no_state_leads_to_itself() -> None:
    assert not any(legal(state, state) for state in State)
