"""schedule.py: how long a run is, and what follows from it."""

import math

import pytest

from colourizer.training.schedule import (
    MIN_VALIDATIONS,
    DurationEstimate,
    Schedule,
    ValidationTimes,
    format_duration,
    learning_rate,
)


def test_the_rate_rises_then_falls_to_a_hundredth():
    rates = [learning_rate(1.0, done / 1000) for done in range(1100)]
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(1, abs=1e-3)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] == pytest.approx(0.01)


def test_whatever_comes_first_ends_a_run():
    schedule = Schedule(epochs=10, steps=5, seconds=100)
    assert schedule.done(25, 10) == 0.5
    assert schedule.done(5, 80) == 0.8
    assert schedule.done(60, 0) == 1
    assert Schedule(math.inf, 5, 100).done(1000, 25) == 0.25
    assert [schedule.is_final_part(step, 0) for step in (34, 35)] == [False, True]


def test_it_is_said_how_long_an_epoch_and_all_of_it_take():
    assert (
        Schedule(90, 100, math.inf).describe(0.5) == "an epoch takes about 50 s, 90 epochs 75 min"
    )
    by_time = Schedule(math.inf, 10, 600).describe(2.0)
    assert by_time == "an epoch takes about 20 s, 10 min are about 30.0 epochs"
    assert Schedule(3, 10, 6000).describe(2.0).endswith("3 epochs 60 s")


@pytest.mark.parametrize(("seconds", "text"), [(4, "4 s"), (600, "10 min"), (9000, "2.5 h")])
def test_durations_are_said_in_the_unit_that_reads_best(seconds, text):
    assert format_duration(seconds) == text


def test_an_estimate_is_made_after_some_steps_and_corrected_only_if_it_was_wrong():
    estimate = DurationEstimate(Schedule(3, 10, math.inf))
    assert estimate.correct(5.0) == ""  # there is none yet
    texts = [estimate.after_step(now) for now in (100.0, 102.0, 104.0, 106.0, 108.0)]
    assert texts == ["", "", "", "an epoch takes about 20 s, 3 epochs 60 s", ""]
    assert estimate.correct(2.4) == ""
    assert estimate.correct(4.0) == "measured anew: an epoch takes about 40 s, 3 epochs 2 min"
    assert estimate.correct(4.1) == ""


@pytest.mark.parametrize(("epochs", "steps"), [(3, 4), (7, 11), (1, 100), (90, 1), (13, 1)])
def test_validations_are_spread_evenly_over_a_run(epochs, steps):
    times = ValidationTimes(Schedule(epochs, steps, math.inf), 0, 0.0)
    validated = []
    for step in range(epochs * steps + 1):
        if times.is_due(step, 0.0):
            validated.append(step)
            times.end(step, 0.0, 1000.0)  # takes long, which counts in minutes only
    gaps = {b - a for a, b in zip([0, *validated], validated, strict=False)}
    assert gaps == {math.ceil(epochs * steps / MIN_VALIDATIONS)}


def test_in_a_run_of_minutes_validations_that_take_long_take_a_fifth_of_the_time_at_most():
    for cost, count in ((0.1, 12), (1.0, 12), (2.9, 12), (4.0, 3), (50.0, 1)):
        times, now, validated = ValidationTimes(Schedule(math.inf, 10, 60.0), -1, 0.0), 0.0, 0
        while now < 60:
            now += 0.05
            if times.is_due(validated, now):
                times.end(validated, now, now + cost)
                validated += 1
                now += cost
        assert abs(validated - count) <= 1, cost
        assert times.spent == pytest.approx(validated * cost)
