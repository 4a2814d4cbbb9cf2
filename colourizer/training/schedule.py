"""How long a training run is, and what follows from how much of it is over."""

import math
from dataclasses import dataclass

FINAL_PART = 0.5  # of the run, in which crops are of --final-size
WARM_UP = 0.03  # share of the run in which the learning rate rises
# The steps between which is measured how long a step takes; the first ones take longer.
MEASURED_FROM, MEASURED_TO = 1, 4


def learning_rate(peak: float, done: float) -> float:
    """Cosine schedule with warm-up.

    Args:
        peak: the highest rate.
        done: share of the run that is over, [0, 1].
    """
    # 1) it rises in a straight line
    if done < WARM_UP:
        return peak * max(done / WARM_UP, 0.01)
    # 2) it falls along half a cosine wave, to a hundredth
    if done < 1:
        wave = 0.5 * (1 + math.cos(math.pi * (done - WARM_UP) / (1 - WARM_UP)))
        return peak * (0.01 + 0.99 * wave)
    # 3) after the planned end it stays there
    return peak * 0.01


def duration(seconds: float) -> str:
    """Say about how long something takes."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


@dataclass(frozen=True)
class Schedule:
    """How long a run is; whatever comes first ends it.

    epochs: passes over the photographs; may be infinite.
    steps: of an epoch.
    seconds: may be infinite.
    """

    epochs: float
    steps: int
    seconds: float

    def done(self, step: int, seconds: float) -> float:
        """Say which share of the run is over, [0, 1]: 1 after it too."""
        return min(1, max(step / (self.epochs * self.steps), seconds / self.seconds))

    def is_final(self, step: int, seconds: float) -> bool:
        """Say whether it is the part of the run in which crops are of --final-size."""
        return self.done(step, seconds) >= 1 - FINAL_PART

    def estimate(self, step_seconds: float) -> str:
        """Say how long it will take.

        Args:
            step_seconds: that a step takes.
        """
        epoch = step_seconds * self.steps
        if self.epochs * epoch <= self.seconds:
            all_of_it = f"{self.epochs} epochs {duration(self.epochs * epoch)}"
        else:
            all_of_it = f"{duration(self.seconds)} are about {self.seconds / epoch:.1f} epochs"
        return f"an epoch takes about {duration(epoch)}, {all_of_it}"
