"""Dry run: which files a run of colourize.py would write."""

from collections import Counter
from collections.abc import Callable
from functools import partial

from colourizer.colourizing.options import Options
from colourizer.colourizing.plan import Plan, plan_found
from colourizer.colourizing.summary import print_left_out
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import Job, list_unfinished
from colourizer.inference.reruns import choose_files
from colourizer.photos.errors import PhotoError
from colourizer.record.row import EXISTS_ALREADY, Settings
from colourizer.record.row_index import RowIndex
from colourizer.runtime.cli import list_hints, print_error, print_note, print_result
from colourizer.storage.connection import StorageError


def dry_run(
    plan: Plan,
    options: Options,
    settings: Callable[[Job, int], Settings] | None = None,
    recorded: RowIndex | None = None,
) -> int:
    """Print what would be written; return the exit code.

    Args:
        plan: the photographs.
        options: the command line.
        settings: returns those of a job's variant; for --update only.
        recorded: what the report says; for --update only.
    """
    counts = Counter(failed=plan.failed)
    for photo in plan.jobs if plan.stream is None else plan.stream:
        try:
            job = photo if isinstance(photo, Job) else plan_found(photo, options.outputs)
            if settings:
                own = partial(settings, job)
                wanted, _ = choose_files(job, options.outputs, own, recorded)
            else:
                wanted = list_unfinished(job, options.outputs.overwrite)
        except (PhotoError, StorageError) as error:
            counts["failed"] += 1
            print_error(f"{photo.source}: {error}", *list_hints(error))
            continue
        counts["planned" if wanted else "skipped"] += 1
        if options.json:
            reason = "" if wanted else EXISTS_ALREADY
            outcome = Outcome(job.source, "planned" if wanted else "skipped", wanted, reason)
            print_result(outcome.as_json())
        elif wanted:
            print_result("\n".join(map(str, wanted)))
    for wrong in plan.listing.wrong:
        print_error(wrong)
    counts["failed"] += len(plan.listing.wrong)
    done = f"{counts['planned']} would be colourized, {counts['skipped']} skipped"
    print_note(f"{done}, {counts['failed']} failed")
    print_left_out(plan.listing.left_out)
    return 1 if counts["failed"] else 0
