"""Tables of published results, as Markdown: one function for each table.

The words do not say which optimizer is faster, because the next measurement may change it.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.analysis import comparison, observations, statistics
from benchmarks.analysis.verdict import corrected
from benchmarks.publish import wire as costs
from benchmarks.store import csv_file, schema

IMAGES_A_DEVICE = 64
"""The number of images on each device in a step, for the table `wire`."""

NAMES = {
    "keras_adam": "keras_adam",
    "adam": "Keras's Adam",
    "sgd": "Keras's SGD",
    "nesterov": "Keras's SGD, Nesterov",
    "rmsprop": "Keras's RMSprop",
    "adamw": "Keras's AdamW",
    "lion": "Keras's Lion",
    "resource_apply_adam": "`ResourceApplyAdam`, a call a variable",
    "torch_fused": "PyTorch, `fused=True`",
    "torch_foreach": "PyTorch, `foreach=True`",
    "torch_loop": "PyTorch, `foreach=False`",
    "torch_fused_adamw_clipped": "PyTorch, `clip_grad_norm_` and AdamW with `fused=True`",
    "optax_adam": "optax under `jax.jit`",
    "tf_keras_adam": "tf_keras (Keras 2)",
}
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
MODES = {
    "eager": "called from Python",
    "graph": "inside a `tf.function`",
    "xla": "inside a program of XLA",
    "fit": "`fit`",
    "fit_xla": "`fit(jit_compile=True)`",
}


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table as Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def name(optimizer: str) -> str:
    """Return the name of an optimizer for readers."""
    return NAMES.get(optimizer, f"`{optimizer}`")


def digits(value: float) -> str:
    """Return a measurement with three significant digits; from 100 on, as a whole number."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:#.3g}".rstrip(".")


def spread(values: Sequence[float], spell: Callable[[float], str] = digits) -> str:
    """Return a median with its quartiles, as text."""
    low, middle, high = np.quantile(np.asarray(values, float), (0.25, 0.5, 0.75))
    return f"{spell(middle)} ({spell(low)} to {spell(high)})"


def rounds(folder: Path) -> pd.DataFrame:
    """Return median milliseconds: a row for each round, a column for each timed update."""
    raw = csv_file.read(folder / "updates_raw.csv", schema.UPDATES_RAW)
    timed = ["shapes", "mode", "optimizer"]
    by_round = observations.medians_of_rounds(raw).set_index(["pair", *timed])["ms"]
    return by_round.unstack(timed).sort_index(axis="columns")


def ratios(by_round: pd.DataFrame, shapes: str, mode: str, baseline: str, subject: str) -> str:
    """Return the time of `baseline` over that of `subject`, with quartiles over the rounds."""
    one = by_round[shapes, mode]
    return spread((one[baseline] / one[subject]).dropna())


def _times(folder: Path, file: str, its_schema: schema.Schema, what: str) -> str:
    """Tabulate the median and the least time of each optimizer for each model."""
    models = "model" if what == "step" else "shapes"
    found = csv_file.read(folder / file, its_schema)
    columns = list(found[models].unique())
    first = found.drop_duplicates(models).set_index(models)
    header = [f"milliseconds of one {what}, median (least)"]
    for model in columns:
        size = f"{first['variables'][model]} variables, {first['params'][model]:,} parameters"
        header.append(f"`{model}`: {size}")
    lines = []
    if "bandwidth_limit_ms" in found:
        limits = [digits(first["bandwidth_limit_ms"][model]) for model in columns]
        lines.append(["28 bytes a parameter at the measured bandwidth", *limits])
    for mode, in_mode in found.groupby("mode", sort=False):
        lines.append([f"**{MODES[str(mode)]}**", *[""] * len(columns)])
        for optimizer, rows in in_mode.groupby("optimizer", sort=False):
            by_model = rows.set_index(models)
            cells = [
                f"{digits(by_model[f'{what}_ms_p50'][model])} "
                f"({digits(by_model[f'{what}_ms_min'][model])})"
                if model in by_model.index
                else ""
                for model in columns
            ]
            lines.append([name(str(optimizer)), *cells])
    first = found.iloc[0]
    return table(header, lines) + (
        f"\n{_where(found)}, Keras {first['keras']}, {BACKENDS[first['backend']]} "
        f"{first['backend_version']}, {first['repetitions']} repetitions each.\n"
    )


def _when(found: pd.DataFrame) -> str:
    """Return the day and the commit of the first measurement."""
    first = found.sort_values("started_at").iloc[0]
    commit = "" if pd.isna(first["commit"]) else f", commit `{first['commit'][:7]}`"
    return f"{first['started_at'][:10]}{commit}"


def _where(found: pd.DataFrame) -> str:
    """Return `_when` and the processor, for times; counts do not depend on the processor."""
    first = found.iloc[0]
    processor = first["cpu"].replace("(R)", "").removesuffix(" Processor")
    return f"{_when(found)}, {first['cores']} cores of {processor}"


def updates(folder: Path) -> str:
    """Tabulate the time of one update."""
    return _times(folder, "updates.csv", schema.UPDATES, "update")


def steps(folder: Path) -> str:
    """Tabulate the time of one training step."""
    return _times(folder, "steps.csv", schema.STEPS, "step")


def comparisons(folder: Path) -> str:
    """Tabulate every optimizer's time over that of keras_adam in the same round."""
    by_round = rounds(folder)
    columns = by_round.columns.to_frame(index=False)
    problems = columns[columns["optimizer"] == "keras_adam"][["shapes", "mode"]]
    lines = []
    for shapes, mode in problems.itertuples(index=False):
        for optimizer in by_round[shapes, mode].columns:
            if optimizer not in ("keras_adam", "bandwidth"):
                over = ratios(by_round, shapes, mode, optimizer, "keras_adam")
                lines.append([f"`{shapes}`", MODES[mode], name(optimizer), over])
    header = ["model", "mode", "optimizer", "its time / keras_adam's, median (quartiles)"]
    return table(header, lines)


def growth(folder: Path) -> str:
    """Tabulate the update of equal variables, inside a graph."""
    found = csv_file.read(folder / "updates.csv", schema.UPDATES)
    found = found[found["mode"] == "graph"]
    return table(
        ["variables", "parameters", "ms, median (least)", "times the limit"],
        [
            [
                str(row["variables"]),
                f"{row['params']:,}",
                f"{digits(row['update_ms_p50'])} ({digits(row['update_ms_min'])})",
                digits(row["update_ms_p50"] / row["bandwidth_limit_ms"]),
            ]
            for _, row in found.iterrows()
        ],
    )


def grid(folder: Path) -> str:
    """Tabulate how many times as long Keras's update takes, over counts and sizes of variables."""
    found = csv_file.read(folder / "grid.csv", schema.GRID)
    sizes = sorted(found["params_each"].unique())
    lines = []
    pairs = {"keras_adam": "adam", "keras_adamw": "adamw"}
    for (mode, count), rows in found.groupby(["mode", "variables"], sort=False):
        least = rows.pivot(index="optimizer", columns="params_each", values="update_ms_min")
        for ours, theirs in pairs.items():
            over = (least.loc[theirs] / least.loc[ours]).reindex(sizes)
            cells = ["" if np.isnan(value) else digits(value) for value in over.astype(float)]
            lines.append([MODES[str(mode)], f"{name(theirs)} / `{ours}`", str(count), *cells])
    header = ["mode", "least time of", "variables", *(f"of {size:,}" for size in sizes)]
    return table(header, lines)


def options(folder: Path) -> str:
    """Tabulate how many times as long Keras's update takes with each option."""
    found = csv_file.read(folder / "grid.csv", schema.GRID)
    sizes = sorted(found["params_each"].unique())
    least = found.set_index(["optimizer", "variables", "params_each"])["update_ms_min"]
    lines = []
    for ours in found["optimizer"][found["optimizer"].str.startswith("keras_adam")].unique():
        call = ours.removeprefix("keras_adam")
        over = (least["adam" + call] / least[ours]).astype(float).unstack().reindex(columns=sizes)
        for count, ratios in over.iterrows():
            cells = ["" if np.isnan(value) else digits(value) for value in ratios]
            lines.append([f"`{call[1:-1]}`" if call else "none", str(count), *cells])
    return table(["options", "variables", *(f"of {size:,}" for size in sizes)], lines)


def training(folder: Path) -> str:
    """Tabulate training runs: medians, with the range over seeds."""
    found = csv_file.read(folder / "runs.csv", schema.RUNS)

    def cell(values: pd.Series, spell: Callable[[float], str]) -> str:
        known = values.dropna()
        if known.empty:
            return ""
        return f"{spell(known.median())} ({spell(known.min())} to {spell(known.max())})"

    lines = []
    for (optimizer, rate), rows in found.groupby(["optimizer", "learning_rate"], sort=False):
        reached = rows["seconds_to_target"]
        lines.append(
            [
                name(str(optimizer).partition("(learning_rate=")[0]),
                digits(rate),
                cell(rows["test_accuracy"], "{:.4f}".format),
                f"{reached.notna().sum()} of {len(rows)}",
                cell(reached, digits),
                cell(rows["step_ms_p50"], digits),
            ]
        )
    target = digits(found["target_accuracy"].iloc[0])
    header = ["optimizer", "learning rate", "test accuracy", f"seeds that reached {target}"]
    return table([*header, "seconds until then", "step, ms (p50)"], lines)


def accuracies(folder: Path) -> str:
    """Tabulate test accuracies beside those of Keras's Adam with the same seeds."""
    found = csv_file.read(folder / "runs.csv", schema.RUNS)
    by_seed = found.pivot(index="seed", columns="optimizer", values="test_accuracy").astype(float)
    lines = []
    for optimizer in by_seed:
        difference = ""
        if optimizer != "adam":
            effect = statistics.difference(by_seed["adam"], by_seed[optimizer])
            difference = f"{effect.low:+.4f} to {effect.high:+.4f}"
        lines.append([name(str(optimizer)), f"{by_seed[optimizer].mean():.4f}", difference])
    header = ["optimizer", f"test accuracy, mean of {len(by_seed)} seeds"]
    return table([*header, "difference from Keras's Adam, 95 % interval"], lines)


def overhead(folder: Path) -> str:
    """Compare the speed of training that the harness measures with that of a bare `fit`."""
    found = csv_file.read(folder / "overhead.csv", schema.OVERHEAD)
    speed = found.pivot(index="round", columns="way", values="images_per_second")
    return (
        "Images per second of watched training over those of a bare `fit`, median (quartiles) of "
        f"{len(speed)} rounds: {spread((speed['watched'] / speed['bare']).astype(float))}.\n"
    )


def programs(folder: Path) -> str:
    """Tabulate the programs that XLA compiles from an update or a step for a GPU."""
    found = csv_file.read(folder / "programs.csv", schema.PROGRAMS)
    lines = []
    for _, row in found.iterrows():
        numbers = [row["kernels"], row["kernels_of_update"]]
        sizes = [row["argument_mb"], row["peak_mb"], row["collective_bytes"] / 1e6]
        split = ", state split" if row["shard_optimizer_state"] else ""
        lines.append(
            [
                f"{row['target']}, `{row['model']}`{split}",
                f"`{row['optimizer']}`",
                *(f"{number:,}" for number in numbers),
                digits(row["bytes_per_parameter"]),
                *(digits(size) for size in sizes),
            ]
        )
    header = ["GPU, model", "optimizer", "kernels", "of the update", "bytes a parameter"]
    return table([*header, "arguments, MB", "peak, MB", "sent, MB"], lines)


def devices(folder: Path) -> str:
    """Tabulate training on one device and on several."""
    found = csv_file.read(folder / "runs.csv", schema.RUNS)
    lines = []
    for (count, shards), rows in found.groupby(["devices", "shard_optimizer_state"]):
        one = rows.iloc[0]
        lines.append(
            [
                str(count),
                "split" if shards else "whole",
                digits(rows["optimizer_state_mb"].median()),
                digits(rows["peak_memory_mb"].median()),
                digits(rows["images_per_second"].median()),
                f"{rows['test_accuracy'].mean():.4f}",
            ]
        )
    header = ["devices", "state", "state on one of them, MB", "memory of the process, MB"]
    return table([*header, "images/s", "test accuracy"], lines) + (
        f"\n`{one['model']}` on `{one['dataset']}`, `{one['optimizer']}`, batches of "
        f"{one['batch_size']}, seeds: {found['seed'].nunique()}; medians, and the mean accuracy. "
        f"{_where(found)}.\n"
    )


def wire(_: Path) -> str:
    """Tabulate the bytes that data parallel training sends, and the computed time for them."""
    lines = []
    for name, model in costs.MODELS.items():
        for count in (2, 8, 64, 1000):
            seconds = {
                link: costs.ring_seconds(model.gradient_bytes(), count, speed)
                for link, speed in costs.LINKS.items()
                if link != "NVLink" or count <= costs.DEVICES_OF_A_MACHINE
            }
            sent = 2 * (count - 1) / count * model.gradient_bytes()
            lines.append(
                [
                    name,
                    f"{count:,}",
                    digits(sent / 1e6),
                    digits(model.compute_seconds(IMAGES_A_DEVICE) * 1e3),
                    *(
                        digits(seconds[link] * 1e3) if link in seconds else ""
                        for link in costs.LINKS
                    ),
                ]
            )
    header = ["model", "GPUs", "sent by each, MB", "computation, ms"]
    links = ", ".join(f"{link} {speed / 1e9:g} GB/s" for link, speed in costs.LINKS.items())
    return table([*header, *(f"{link}, ms" for link in costs.LINKS)], lines) + (
        f"\nFloat32 gradients, {IMAGES_A_DEVICE} images a device, a computation at "
        f"{costs.UTILISATION:.0%} of the {costs.PEAK_FLOPS / 1e12:g} TFLOP/s that an H100 has in "
        f"bfloat16, {costs.LATENCY_SECONDS * 1e6:g} µs a message. In each direction: {links}. "
        f"NVLink connects the {costs.DEVICES_OF_A_MACHINE} GPUs of a machine; InfiniBand (NDR) has "
        "a link for each GPU, Ethernet one for each machine.\n"
    )


def gains(folder: Path) -> str:
    """Tabulate time and memory against Keras's Adam; `folder` has the updates on TensorFlow."""
    results = folder.parent
    lines: list[list[str]] = []
    when: dict[str, str] = {}

    def timed(where: str, race: str, mode: str, shapes: str, subject: str) -> None:
        is_step = (results / race / "steps.csv").exists()
        its_schema, what = (schema.STEPS, "step") if is_step else (schema.UPDATES, "update")
        found = csv_file.read(results / race / f"{what}s.csv", its_schema)
        mine = found[(found["mode"] == mode) & (found["model" if is_step else "shapes"] == shapes)]
        ms = mine.set_index("optimizer")[f"{what}_ms_p50"]
        when[race] = _where(found)
        over = ratios(rounds(results / race), shapes, mode, "adam", subject)
        words = f"one {what}, `{shapes}`"
        lines.append([where, words, f"{digits(ms['adam'])} ms", f"{digits(ms[subject])} ms", over])

    def counted(where: str, what: str, programs: str, column: str, subject: str) -> None:
        found = csv_file.read(results / programs / "programs.csv", schema.PROGRAMS)
        when[programs] = _when(found)
        found = found[found["model"] == "resnet50"].set_index("optimizer")[column]
        ours, theirs = found[subject], found["adam"]
        over = digits(theirs / ours)
        lines.append([where, what, f"{digits(theirs)} MB", f"{digits(ours)} MB", over])

    models, weights = ("mlp_1024", "2c2d", "mobilenet_v3_small"), ("efficientnet_b0", "resnet50")
    fits, own_loop = [("fit", shapes) for shapes in models], "own loop, "
    for backend, race, kind, timings in (
        ("tensorflow", "update_fit", "", [*fits, ("fit_xla", "2c2d")]),
        ("tensorflow", folder.name, own_loop, itertools.product(("eager", "graph"), weights)),
        ("jax", "update_jax", own_loop, itertools.product(("eager", "xla"), weights)),
        ("torch", "update_fit_torch", "", fits),
        ("torch", "update_torch", own_loop, itertools.product(("eager",), weights)),
    ):
        for mode, shapes in timings:
            where = f"{BACKENDS[backend]}, {kind}{MODES[mode]}"
            timed(where, race, mode, shapes, "keras_adam")
    lazy = "keras_adam(lazy=True)"
    where = "TensorFlow, `lazy=True`, 1,024 rows"
    timed(where, "update_embedding", "graph", "embedding", lazy)
    peak = "peak memory of a step, ResNet-50"
    counted("One GPU*, `fit`", peak, "program_steps", "peak_mb", "keras_adam")
    counted("Eight GPUs*, `fit`", peak, "program_devices", "peak_mb", "keras_adam")
    for dtype in ("bfloat16", "int8"):
        where = f'Memory*, `state_dtype="{dtype}"`'
        what = "weights, gradients and state, ResNet-50"
        subject = f"keras_adam(state_dtype='{dtype}')"
        counted(where, what, "program_state_dtype", "argument_mb", subject)
    header = ["where", "what", "Keras's Adam", "keras_adam", "ratio (quartiles)"]
    folders = "; ".join(f"`results/{race}` ({day})" for race, day in when.items())
    return table(header, lines) + (
        "\n\\* The account of XLA's compiler for an H100; nothing was run on a GPU for it. Times "
        "are medians on a CPU. The optimizers took turns, and the ratio is that of each round. "
        f"Folders: {folders}.\n"
    )


def verdicts(folder: Path) -> str:
    """Tabulate test accuracies beside those of the baseline, with the verdict on each."""
    runs = csv_file.read(folder / "runs.csv", schema.RUNS)
    rates = runs.groupby("optimizer")["learning_rate"].first()
    found, _ = comparison.within(folder)
    compared = corrected([c for c in found if c.metric.column == "test_accuracy"])
    (baseline,) = {c.baseline for c in compared}

    def line(subject: str, mean: float, *words: str) -> list[str]:
        called = name(subject.partition("(learning_rate=")[0])
        return [called, digits(rates[subject]), f"{mean:.4f}", *words]

    lines = [line(baseline, compared[0].mean_baseline, "", "")]
    for c in compared:
        difference = f"{c.effect.low:+.4f} to {c.effect.high:+.4f}"
        lines.append(line(c.subject, c.mean_subject, difference, c.verdict))
    called = lines[0][0]
    header = ["optimizer", "learning rate", f"test accuracy, mean of {compared[0].effect.n} seeds"]
    return table([*header, f"difference from {called}, 95 % interval", "verdict"], lines)


TABLES: dict[str, Callable[[Path], str]] = {
    table.__name__: table
    for table in (
        *(updates, steps, comparisons, growth, grid, options),
        *(training, accuracies, overhead, programs, gains),
        *(devices, wire, verdicts),
    )
}
