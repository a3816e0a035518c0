"""The observations in a folder of results, written by any command, that can be compared.

All commands give one frame of the same form. A row is one observation of a `subject` (an optimizer)
on a `problem` (all options that must be equal) in a `pair` (a seed, or a round of a race). A row
also has the metrics and the environment.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from benchmarks.analysis import trials
from benchmarks.errors import InputError
from benchmarks.run import RunConfig
from benchmarks.store import csv_file, schema
from benchmarks.store.report import Report

PROBLEM = tuple(
    column
    for column in dict.fromkeys((*schema.OPTIONS, "target_accuracy"))
    if column not in ("optimizer", "learning_rate", "seed", "optimizer_digest")
)
"""The columns of runs.csv in which two runs must agree to be compared. The learning rate and the
code belong to the optimizer."""

DIGEST_OF = {"data_digest": "dataset", "model_digest": "model"}
"""For each digest, the column that has the name of the data set or the model."""

NEVER_BLANK = ("run_id", "status", "dataset", "model", "optimizer", "seed")
"""The columns of runs.csv in which no row may be blank."""

FILES = ("runs.csv", "updates.csv", "steps.csv", "grid.csv", "overhead.csv")
"""The files that hold observations."""

MOST_IMAGES = 100_000
FEWEST_IMAGES = 300
"""The least number of test images that is guessed from accuracies; `digits` has 360."""

_COUNTS = np.arange(FEWEST_IMAGES, MOST_IMAGES + 1)

TIMING_STEP = 0.001
"""The relative precision of a timing; two timings closer than this count as equal."""


def read_observations(report: Report) -> pd.DataFrame:
    """Read the observations of a report.

    Raises:
        InputError: there is no report, or no run of it has ended.
    """
    folder = report.folder
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    frames = list(_read(report))
    if not frames:
        if any(map(report.has, FILES)):
            raise InputError(f"{folder}: its report holds no row yet")
        raise InputError(f"{folder}: holds no report: no {', '.join(FILES)} or programs.csv")
    found = pd.concat(frames, ignore_index=True)
    if not (found["status"] == "ok").any():
        raise InputError(f"{folder}: holds no run with status ok")
    return found


def _read(report: Report) -> Iterator[pd.DataFrame]:
    runs, epochs = report.rows("runs.csv"), report.rows("epochs.csv")
    steps = runs["run_id"].map(epochs.groupby("run_id")["steps"].sum())
    runs = runs.assign(steps=steps)
    if len(runs):
        is_search = trials.is_search(report.folder)
        yield from_search(report, runs) if is_search else from_runs(runs)
    raw = report.rows("updates_raw.csv")
    rounds = medians_of_rounds(raw) if len(raw) else None
    for name, shapes, metric in (
        ("updates.csv", "shapes", "update_ms_p50"),
        ("steps.csv", "model", "step_ms_p50"),
    ):
        rows = report.rows(name)
        csv_file.check_not_blank(rows, name, (shapes, "optimizer", "mode", "device"))
        if len(rows):
            yield from_race(rows.rename(columns={shapes: "shapes"}), rounds, metric)
    rows = report.rows("grid.csv")
    csv_file.check_not_blank(rows, "grid.csv", ("variables", "params_each", "mode", "optimizer"))
    if len(rows):
        yield from_grid(rows)
    rows = report.rows("overhead.csv")
    csv_file.check_not_blank(rows, "overhead.csv", ("round", "way"))
    if len(rows):
        yield rows.rename(columns={"way": "subject", "round": "pair"}).assign(
            problem="what measuring costs", optimizer=rows["way"], status="ok"
        )


def from_runs(runs: pd.DataFrame) -> pd.DataFrame:
    """Add to each run its problem and subject, and how finely its metrics are rounded.

    Raises:
        InputError: a row lacks a column that names the run.
    """
    csv_file.check_not_blank(runs, "runs.csv", NEVER_BLANK)
    runs = runs.assign(jit_compile=_compilation(runs))
    runs["problem"] = _problems(runs)
    several = runs.groupby("optimizer")["learning_rate"].transform("nunique") > 1
    rate = runs["learning_rate"].map(" at {:g}".format)
    codes = runs.groupby("optimizer")["optimizer_digest"].transform("nunique")
    code = " of code " + runs["optimizer_digest"].fillna("unknown")
    runs["subject"] = runs["optimizer"] + rate.where(several, "") + code.where(codes > 1, "")
    runs["pair"] = runs["seed"]
    return _with_rounding(runs)


def of_two(both: pd.DataFrame) -> pd.DataFrame:
    """Fill blanks of `jit_compile` from the runs of both folders, and name the problems again."""
    if "jit_compile" not in both:
        return both
    both = both.assign(jit_compile=_compilation(both))
    is_run = both["run_id"].notna()
    both.loc[is_run, "problem"] = _problems(both[is_run])
    return both


def unlike(found: pd.DataFrame) -> Iterator[str]:
    """Say in which columns runs of one kind differ, or may differ."""
    if "run_id" not in found:
        return
    for digest, name in (*DIGEST_OF.items(), ("optimizer_digest", "optimizer")):
        known = found[digest].notna().groupby(found[name])
        for one in known.any().index[known.any() & ~known.all()]:
            yield f"it is unknown for some runs with {one} whether they agree in {digest}"
    to_the_end = found[(found["status"] == "ok") & ~found["stop_at_target"].fillna(False)]
    for column in ("params", "steps"):
        for problem, values in to_the_end.groupby("problem", sort=False)[column]:
            if values.nunique() > 1:
                words = " and ".join(f"{value:,}" for value in sorted(values.dropna().unique()))
                yield f"runs of one kind differ in {column}, {words} ({problem})"


def recoded(both: pd.DataFrame) -> Iterator[str]:
    """Name the optimizers whose code differs between two folders (the column `folder`)."""
    if "run_id" not in both:
        return
    for subject, rows in both.groupby("subject", sort=False):
        codes = rows.groupby("folder")["optimizer_digest"].first().dropna().unique()
        if len(codes) > 1:
            yield f"{subject}: its code was {codes[0]} and is {codes[1]} (optimizer_digest)"


def _compilation(runs: pd.DataFrame) -> pd.Series:
    """Return `jit_compile`, with its blanks filled from other runs.

    A failed run has a blank. It takes the value of the other runs with the same data set, model,
    backend and device.
    """
    likes = ["dataset", "model", "backend", "device"]
    found = runs.groupby(likes, dropna=False)["jit_compile"]
    return runs["jit_compile"].fillna(found.transform("first"))


def from_search(report: Report, runs: pd.DataFrame) -> pd.DataFrame:
    """Keep the runs of each search's winner: its further seeds if it is a finalist, else its run.

    The other trials have other arguments, so they are not repetitions of the winner.
    """
    found = from_runs(runs)
    winners = trials.winners(trials.read_trials(report))
    by_run = winners.drop_duplicates("run_id").set_index("run_id")["optimizer"]
    found = found[found["run_id"].isin(by_run.index)].copy()
    found["subject"] = found["run_id"].map(by_run)
    return found


def from_race(rows: pd.DataFrame, rounds: pd.DataFrame | None, metric: str) -> pd.DataFrame:
    """Pair the competitors of a race by its rounds; without rounds, there is one pair."""
    batch = rows["batch_size"].map(", batches of {}".format) if "batch_size" in rows else ""
    rows = rows.assign(
        problem=rows["shapes"] + ", " + rows["mode"] + batch + " on " + rows["device"],
        subject=rows["optimizer"],
        status="ok",
    )
    if rounds is None:
        return rows.assign(pair=0)
    keys = ["shapes", "optimizer", "mode"]
    return rows.drop(columns=metric).merge(
        rounds.assign(**{metric: rounds["ms"]}).drop(columns="ms"), on=keys
    )


def from_grid(rows: pd.DataFrame) -> pd.DataFrame:
    """Make a problem of each cell and mode of a grid, with one pair."""
    counts = rows["variables"].map("{:,} variables of ".format)
    sizes = rows["params_each"].map("{:,} numbers, ".format)
    return pd.DataFrame(
        {
            "problem": counts + sizes + rows["mode"],
            "subject": rows["optimizer"],
            "optimizer": rows["optimizer"],
            "update_ms_p50": rows["update_ms_p50"],
            "status": "ok",
            "pair": 0,
        }
    )


def medians_of_rounds(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the median update of each competitor in each round, in milliseconds."""
    measured = raw[raw["phase"] == "measured"]
    keys = ["shapes", "optimizer", "mode", "round"]
    ms = measured.groupby(keys, sort=False)["seconds"].median() * 1e3
    return ms.reset_index().rename(columns={"round": "pair", "seconds": "ms"})


def _problems(runs: pd.DataFrame) -> pd.Series:
    """Name the problem of each run, by its combination of options.

    A digest is a part of the name only if the runs have several digests for one data set or model.
    A run of an older version has no digest; it counts as a run with the only known digest.
    """
    runs = runs.copy()
    for digest, name in DIGEST_OF.items():
        of_each = runs.groupby(name, dropna=False)[digest]
        runs[digest] = runs[digest].mask(of_each.transform("nunique") <= 1)
    codes = runs.groupby(list(PROBLEM), dropna=False, sort=False).ngroup()
    first = runs.loc[codes.drop_duplicates().index, list(PROBLEM)]
    names = dict(zip(codes[first.index], map(_words, first.to_dict("records")), strict=True))
    return codes.map(names).astype("string")


_DEFAULTS = {field.name: field.default for field in dataclasses.fields(RunConfig)}

IN_WORDS = ("dataset", "model", "epochs", "batch_size", "backend", "device")


def _words(options: dict[str, object]) -> str:
    words = (
        f"{options['dataset']}, {options['model']}, {options['epochs']} epochs of batches of "
        f"{options['batch_size']}, {options['backend']} on {options['device']}"
    )
    for column, value in options.items():
        if column in IN_WORDS or pd.isna(value) or value == _DEFAULTS.get(column):
            continue
        if column == "jit_compile":
            words += ", step compiled by XLA" if value else ""
        elif column == "target_accuracy":
            words += f", target {value:g}"
        elif isinstance(value, bool | np.bool_):
            words += f", {column}" if value else f", no {column}"
        else:
            words += f", {column} {value}"
    return words


def differing(frame: pd.DataFrame, columns: Sequence[str]) -> dict[str, list[str]]:
    """Return the columns in which not all rows agree, with their values as text."""
    found = {}
    for column in columns:
        if column in frame:
            values = frame[column].astype("string").fillna("none").unique()
            if len(values) > 1:
                found[column] = [str(value) for value in values]
    return found


def _with_rounding(runs: pd.DataFrame) -> pd.DataFrame:
    """Add the rounding of metrics: `test_accuracy_step` and, as a fraction, `to_target_step`."""
    by_problem = runs.groupby("problem", sort=False)
    images = {name: _images(group) for name, group in by_problem}
    steps = {name: _steps(group["steps_to_target"]) for name, group in by_problem}
    runs["test_accuracy_step"] = 1 / runs["problem"].map(images).astype(float)
    step = runs["problem"].map(steps).astype(float)
    runs["to_target_step"] = step / runs["steps_to_target"].astype("Float64")
    return runs


def _images(runs: pd.DataFrame) -> int:
    """Guess the number of test images: the least for which all accuracies are whole counts."""
    columns = ["test_accuracy", "best_test_accuracy"]
    values = np.unique(runs[columns].to_numpy(float, na_value=np.nan))
    images = _COUNTS
    for value in values[np.isfinite(values)]:
        # The file has six digits, so a count of images may be wrong by this much.
        off = np.abs(value * images - np.round(value * images))
        images = images[off <= 1e-6 * images]
    return int(images[0]) if len(images) else MOST_IMAGES


def _steps(values: pd.Series) -> int:
    """Guess the steps of an epoch; the target is checked at the end of each epoch."""
    return int(np.gcd.reduce(values.dropna().to_numpy(int))) if values.notna().any() else 1
