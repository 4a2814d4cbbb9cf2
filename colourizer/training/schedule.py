"""The schedule of a training run: length, learning rate, validations, estimates of duration."""

import math
from dataclasses import dataclass

FINAL_PART = 0.3  # of the run, in which crops are of --final-size
WARM_UP = 0.03  # share of the run in which the learning rate rises
# The steps between which is measured how long a step takes; the first ones take longer.
MEASURED_FROM, MEASURED_TO = 1, 4
MISJUDGED = 0.25  # relative error from which an estimate is corrected
# A run is validated at least so many times, evenly spread over it; but where its length is in
# minutes and a validation takes more than VALIDATION_TIME of them, these take no more than
# VALIDATIONS_TIME together.
MIN_VALIDATIONS, VALIDATION_TIME, VALIDATIONS_TIME = 12, 0.05, 0.2


def learning_rate(peak: float, done: float) -> float:
    """Return the learning rate: linear warm-up, then cosine decay (Loshchilov & Hutter, 2017).

    Args:
        peak: the highest rate.
        done: share of the run that is over, [0, 1].
    """
    # 1) linear warm-up
    if done < WARM_UP:
        return peak * max(done / WARM_UP, 0.01)
    # 2) cosine decay to a hundredth of the peak
    if done < 1:
        wave = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        return peak * (0.01 + 0.99 * wave)
    # 3) constant after the planned end
    return peak * 0.01


def format_duration(seconds: float) -> str:
    """Return a duration in the unit that reads best, rounded."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Schedule:
    """How long a run is; whichever comes first ends it.

    epochs: passes over the photographs; may be infinite.
    steps: of an epoch.
    seconds: may be infinite.
    """

    epochs: float
    steps: int
    seconds: float

    def done(self, step: int, seconds: float) -> float:
        """Return the share of the run that is over, [0, 1]; 1 after the end."""
        return min(1, max(step / (self.epochs * self.steps), seconds / self.seconds))

    def is_final_part(self, step: int, seconds: float) -> bool:
        """Return whether it is the part of the run in which crops are of --final-size."""
        return self.done(step, seconds) >= 1 - FINAL_PART

    def is_out_of_time(self, seconds: float) -> bool:
        """Return whether the run's time is over."""
        return seconds > self.seconds

    def is_over(self, epoch: int, seconds: float) -> bool:
        """Return whether the run is over, after a number of epochs and seconds."""
        return epoch >= self.epochs or self.is_out_of_time(seconds)

    def describe(self, step_seconds: float) -> str:
        """Return how long the run will take, in words.

        Args:
            step_seconds: how long a step takes.
        """
        epoch = step_seconds * self.steps
        if self.epochs * epoch <= self.seconds:
            all_of_it = f"{self.epochs} epochs {format_duration(self.epochs * epoch)}"
        else:
            all_of_it = (
                f"{format_duration(self.seconds)} are about {self.seconds / epoch:.1f} epochs"
            )
        return f"an epoch takes about {format_duration(epoch)}, {all_of_it}"


@dataclass
class ValidationTimes:
    """When a run is validated.

    schedule: the run's.
    step, seconds: of the run, when the last validation began.
    cost: how many seconds it took.
    spent: how many all of them took since the process began.
    """

    schedule: Schedule
    step: int
    seconds: float
    cost: float = 0.0
    spent: float = 0.0

    def is_due(self, step: int, seconds: float) -> bool:
        """Return whether it is time for the next of MIN_VALIDATIONS; a step is taken before.

        Args:
            step: of the run, now.
            seconds: of the run, now.
        """
        done = self.schedule.done(step, seconds) - self.schedule.done(self.step, self.seconds)
        # Rounding: a twelfth of a number of steps may be reached a hair before 1 / 12.
        is_time = done > 1 / MIN_VALIDATIONS - 1e-9
        return is_time and step > self.step and self.is_affordable(seconds)

    def is_affordable(self, seconds: float) -> bool:
        """Return whether a validation now would take little of the run's time."""
        is_short = self.cost <= VALIDATION_TIME * self.schedule.seconds
        return is_short or self.cost <= VALIDATIONS_TIME * (seconds - self.seconds)

    def end(self, step: int, started: float, ended: float) -> None:
        """Note a validation: at which step, and the run's seconds before and after it."""
        self.step, self.seconds, self.cost = step, started, ended - started
        self.spent += self.cost


@dataclass
class DurationEstimate:
    """An estimate of how long a run takes, from its first steps, corrected later if it is wrong.

    schedule: the run's.
    steps: how many were measured so far.
    measured_from: when the measurement began, in the run's seconds without those of validations.
    step_seconds: what the last estimate was made from; 0 before the first.
    """

    schedule: Schedule
    steps: int = 0
    measured_from: float = 0.0
    step_seconds: float = 0.0

    def after_step(self, now: float) -> str:
        """Return the first estimate, in words, when enough steps were measured; else nothing.

        Args:
            now: when the step ended, in the run's seconds without those of validations.
        """
        self.steps += 1
        if self.steps == MEASURED_FROM:
            self.measured_from = now
        if self.steps != MEASURED_TO:
            return ""
        self.step_seconds = (now - self.measured_from) / (MEASURED_TO - MEASURED_FROM)
        return self.schedule.describe(self.step_seconds)

    def correct(self, step_seconds: float) -> str:
        """Return a new estimate, in words, if the last one was wrong by more than MISJUDGED.

        Args:
            step_seconds: how long a step takes, measured on many.
        """
        if not self.step_seconds or abs(step_seconds / self.step_seconds - 1) <= MISJUDGED:
            return ""
        self.step_seconds = step_seconds
        return f"measured anew: {self.schedule.describe(step_seconds)}"
