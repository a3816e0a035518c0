"""The headings of columns on the page, and the format of their numbers."""

HEADINGS = {
    "test_accuracy": ("test accuracy", "{:.4f}"),
    "steps_to_target": ("steps to target", "{:,.0f}"),
    "seconds_to_target": ("seconds to target", "{:,.1f}"),
    "images_per_second": ("images/s", "{:,.0f}"),
    "step_ms_p50": ("step ms", "{:.2f}"),
    "compile_seconds": ("compile s", "{:.1f}"),
    "data_wait_fraction": ("waits for data", "{:.0%}"),
    "inference_ms_p50": ("inference ms", "{:.2f}"),
    "peak_memory_mb": ("peak MB", "{:,.0f}"),
}
"""For each column, its heading and the format of its numbers."""

OUTCOME = ("test_accuracy", "steps_to_target", "seconds_to_target")
COST = tuple(column for column in HEADINGS if column not in OUTCOME)
"""The columns of the second of two tables; a single table would not fit on paper."""


def heading(column: str) -> str:
    """Return the heading of a column; by default, its name."""
    return (
        HEADINGS[column][0] if column in HEADINGS else column.replace("_p50", "").replace("_", " ")
    )


def spell(column: str, value: float) -> str:
    """Return a number of a column as text."""
    return HEADINGS[column][1].format(value)
