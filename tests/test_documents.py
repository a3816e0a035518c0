"""The numbers, the code and the commands in README and docs are right."""

import io
import re
import shlex
from pathlib import Path

import click
import pytest
from rich.console import Console

from benchmarks import printing
from benchmarks.__main__ import cli
from benchmarks.commands import terminal
from benchmarks.programs import hlo
from benchmarks.publish import evidence
from benchmarks.publish.evidence_tables import digits
from benchmarks.store import csv_file, schema
from tests import processes

ROOT = Path(__file__).parents[1]
PAGES = {str(path.relative_to(ROOT)): path.read_text() for path in evidence.documents(ROOT)}


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_those_of_the_results(page):
    assert PAGES[page] == evidence.fill(PAGES[page], ROOT / "results"), "run `make evidence`"


def test_another_result_is_another_document(tmp_path):
    text = "<!-- evidence: overhead overhead -->\nold\n<!-- end of evidence -->\n"
    assert "Not measured yet." in evidence.fill(text, tmp_path)
    (tmp_path / "overhead").mkdir()
    rows = "round,way,images_per_second\n0,bare,100.0\n0,watched,50.0\n"
    (tmp_path / "overhead" / "overhead.csv").write_text(rows)
    filled = evidence.fill(text, tmp_path)
    assert "old" not in filled
    assert "0.500 (0.500 to 0.500)" in filled
    assert evidence.fill(filled, tmp_path) == filled


def test_the_picture_has_the_numbers_of_the_race():
    found = csv_file.read(ROOT / "results" / "update" / "updates.csv", schema.UPDATES)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", (ROOT / evidence.PICTURE).read_text())
    for ms in found["update_ms_p50"]:
        assert digits(ms) in texts
    for limit in found["bandwidth_limit_ms"].unique():
        assert any(text.endswith(f"the limit, {digits(limit)}") for text in texts)


def test_what_train_prints_is_what_it_prints_of_the_results():
    found = csv_file.read(ROOT / "results" / "train_fashion_mnist" / "runs.csv", schema.RUNS)
    console = Console(width=120, file=io.StringIO())
    printing.table(console, *terminal.summary(found), names=3)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    (printed,) = blocks(PAGES["README.md"], "text")
    assert printed.splitlines() == [line for line in lines if line]


@pytest.mark.parametrize(
    ("file", "loops", "bytes_each"), [("default", "three", 40), ("multi_output_fusion", "two", 36)]
)
def test_bytes_of_an_update_on_a_cpu_are_those_of_its_program(file, loops, bytes_each):
    program = hlo.parse((ROOT / "results" / "update_hlo" / f"{file}.txt").read_text())
    count = 1024**2
    moved = [
        instruction.bytes + program.operand_bytes(computation, instruction)
        for computation, instruction in program.scheduled
        if instruction.opcode == "fusion" and instruction.bytes >= 4 * count
    ]
    assert len(moved) == {"two": 2, "three": 3}[loops]
    assert round(sum(moved) / count) == bytes_each
    text = PAGES["docs/limits.md"]
    assert re.search(rf"{loops} loops and (moves )?{bytes_each} bytes", text)


def test_sizes_are_those_of_the_code():
    from keras_adam.backends.tensorflow import native, routes
    from keras_adam.math import blocks as in_blocks

    how, compact = PAGES["docs/how-it-works.md"], PAGES["docs/state-dtype.md"]
    least = f"{routes.LEAST_NUMBERS_TO_SPLIT:,}"
    assert f"at most {routes.MOST_NUMBERS_AT_ONCE} numbers, or at least {least}" in how
    assert f"any size below {least}" in how
    group = f"{routes.MAX_GROUP_VARIABLES} variables or {routes.MAX_GROUP_BYTES >> 20} MiB"
    assert f"at most {group}" in how
    assert f"plain numbers, below {native.LEAST_BETA}, or" in how
    assert f"each block of {in_blocks.BLOCK_SIZE} numbers" in compact
    assert f"fewer than {in_blocks.LEAST_QUANTIZED:,} numbers" in compact
    # Momentum and velocity each have a code, and a share of a float32 scale.
    assert f'| `"int8"` | {2 * (1 + 4 / in_blocks.BLOCK_SIZE):.2f} |' in compact


# The numbers of docs/verdicts.md are those that tests of `compare` simulate.
@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/verdicts.md"])
def test_no_measured_number_is_written_by_hand(page):
    by_hand = evidence.BLOCK.sub("", PAGES[page])
    by_hand = re.sub(r"^```.*?^```|`[^`\n]*`", "", by_hand, flags=re.M | re.S)
    assert re.findall(r"\d[\d.,]* ?(?:ms|µs|s|MB|GB/s|times|%)(?!\w)", by_hand) == []


# Those of docs/own-data.md run in tests/benchmarks/data/test_own_data.py.
@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(PAGES[page], "python") and "own-data" not in page]
)
def test_python_blocks_run(page):
    processes.run("\n".join(blocks(PAGES[page], "python")))


def commands():
    for page, text in PAGES.items():
        for block in blocks(text, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                found = re.search(r"python -m benchmarks (.*?)(?:&|$)", line)
                if found:
                    yield pytest.param(found[1], id=f"{page}: {found[1][:60]}")


@pytest.mark.parametrize("arguments", list(commands()))
def test_commands_have_the_options_that_they_are_given(arguments):
    words = shlex.split(arguments, comments=True)
    command, context = cli, click.Context(cli)
    while isinstance(command, click.Group):
        command = command.commands[words.pop(0)]
        context = click.Context(command, parent=context)
    values, rest, _ = command.make_parser(context).parse_args(words)
    assert not rest
    for parameter in command.params:
        given = values.get(parameter.name)
        if given is not None and isinstance(parameter.type, click.Choice):
            for one in given if parameter.multiple else [given]:
                assert one in parameter.type.choices


def test_links_between_documents_lead_somewhere():
    for page, text in PAGES.items():
        for link in re.findall(r"\]\(([^)#\s]+)", text):
            if not link.startswith(("http://", "https://")):
                assert (ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}"
