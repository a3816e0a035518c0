"""`python -m benchmarks.training.overhead` watches as `train` does, and writes both ways."""

import dataclasses

import pandas as pd

from benchmarks.store import schema
from benchmarks.training import overhead


def test_each_round_has_a_turn_of_each_way(tmp_path, capsys, monkeypatch):
    watched = []

    class Watched(overhead.Monitor):
        def on_train_batch_end(self, batch, logs=None):
            watched.append(batch)
            super().on_train_batch_end(batch, logs)

    monkeypatch.setattr(overhead, "Monitor", Watched)
    monkeypatch.setattr(overhead, "EPOCHS", 2)
    names = {"model": "tests.benchmarks.tiny:dense", "dataset": "tests.benchmarks.tiny:images"}
    tiny = dataclasses.replace(overhead.CONFIG, **names)
    monkeypatch.setattr(overhead, "CONFIG", tiny)
    overhead.main(tmp_path / "report", None, rounds=2)
    rows = pd.read_csv(tmp_path / "report" / "overhead.csv")
    assert list(rows.columns) == list(schema.OVERHEAD)
    assert sorted(zip(rows["round"], rows["way"], strict=True)) == [
        *((0, "bare"), (0, "watched")),
        *((1, "bare"), (1, "watched")),
    ]
    assert (rows["images_per_second"] > 0).all()
    steps = 1437 // overhead.CONFIG.batch_size
    assert len(watched) == steps * overhead.EPOCHS * 3  # two turns, one to warm up
    by_way = rows.pivot(index="round", columns="way", values="images_per_second")
    median = (by_way["watched"] / by_way["bare"]).median()
    assert f"watched / bare: {median:.3f}," in capsys.readouterr().out
