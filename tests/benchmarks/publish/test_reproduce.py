import re
from pathlib import Path

from click.testing import CliRunner

from benchmarks.publish import reproduce

ROOT = Path(__file__).parents[3]


def folder(results, name, command, raw=""):
    (results / name).mkdir(parents=True)
    (results / name / "command.txt").write_text(command)
    if raw:
        (results / name / "updates_raw.csv").write_text(raw)


def call(*arguments):
    return CliRunner().invoke(reproduce.main, arguments)


def test_each_command_fills_a_new_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder(Path("results"), "a", "python -m calendar > results/a.txt\n", "seconds\n1.5\n2.5\n")
    folder(Path("results"), "b", "python -m calendar DATA > results/b.txt\n")
    folder(Path("results"), "c", "python -m no_such_module results/c\n")
    folder(Path("results"), "d", "python -m by_hand\n")
    Path("results/anew").mkdir()
    done = call()
    assert done.exit_code == 1
    assert "failed: c" in done.output
    assert re.search(
        r"^a \(at least 4 s\): .* -m calendar > results/anew/a.txt$", done.output, re.M
    )
    assert re.search(r"^a: ok after \d+ s$", done.output, re.M)
    assert Path("results/anew/a.txt").read_text()
    assert "b: left out, it needs --data-dir" in done.output
    assert "d: left out, its command.txt must be followed by hand" in done.output
    assert call("b", "--data-dir", "2026").exit_code == 0
    assert "2026" in Path("results/anew/b.txt").read_text()


def test_a_folder_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = call("nowhere")
    assert done.exit_code == 2
    assert "results/nowhere: no such folder" in done.output


def test_every_published_command_is_one_that_can_be_run_again():
    for name, command in reproduce.published(ROOT / "results").items():
        filled = reproduce.fill(command, name, dict.fromkeys(("DATA", "ORIGINALS"), Path("there")))
        assert filled is None or f"results/anew/{name}" in filled
        assert (filled is None) == (name == "update_hlo")
        module = re.search(r"-m ([\w.]+)", command)
        if module:
            parts = ROOT.joinpath(*module[1].split("."))
            assert parts.with_suffix(".py").exists() or (parts / "__main__.py").exists()
