import pytest

from benchmarks.training import clock


@pytest.fixture
def times(monkeypatch):
    """Return a list to which a test adds the readings of the clock."""
    readings = []
    monkeypatch.setattr(clock.time, "perf_counter", lambda: readings.pop(0))
    return readings


def train(readings, times, epochs):
    """Let a clock watch `epochs` epochs; the readings are begin, step ends, end of each."""
    watched = clock.TrainingClock(synchronize=lambda: None)
    for epoch in epochs:
        times.extend(epoch)
        watched.begin_epoch()
        for _ in epoch[1:-1]:
            watched.end_step()
        readings.append(watched.end_epoch())
    return watched


def test_the_first_epoch_is_warm_up(times):
    ends = []
    watched = train(ends, times, [[0, 5, 6, 7], [10, 11, 13, 14], [20, 21, 23, 24]])
    assert ends == [(2, 7), (2, 4), (2, 4)]
    measured = watched.measurements(batch_size=8)
    assert measured["train_seconds"] == 15
    assert measured["images_per_second"] == 4 * 8 / 8
    assert measured["step_ms_p50"] == 1500  # of 1, 2, 1 and 2 seconds
    assert measured["compile_seconds"] == 5 - 1.5


def test_the_share_of_waiting_is_that_after_warm_up(times):
    waited = iter([0, 3, 3, 4, 10, 11])  # at the beginning and the end of each epoch
    watched = clock.TrainingClock(lambda: None, lambda: next(waited))
    for epoch in ([0, 5, 6], [10, 11, 14], [20, 21, 24]):
        times.extend(epoch)
        watched.begin_epoch()
        watched.end_step()
        watched.end_epoch()
    assert watched.measurements(batch_size=8)["data_wait_fraction"] == 2 / 8


def test_the_median_time_of_a_call(monkeypatch):
    now = [0.0]

    def call():
        now[0] += 0.25

    monkeypatch.setattr(clock.time, "perf_counter", lambda: now[0])
    assert clock.median_ms(call, repetitions=20, seconds=100) == 250
    assert now == [(20 + 2) * 0.25]
    clock.median_ms(call, repetitions=20, seconds=1)
    assert now == [(20 + 2 + 4 + 2) * 0.25]


def test_with_one_epoch_the_first_step_is_warm_up(times):
    measured = train([], times, [[0, 10, 11, 12, 13]]).measurements(batch_size=8)
    assert measured["images_per_second"] == 2 * 8 / 3
    assert measured["step_ms_p99"] == 1000
    assert measured["compile_seconds"] == 9


def test_one_step_measures_no_speed(times):
    measured = train([], times, [[0, 10, 11]]).measurements(batch_size=8)
    assert measured == {"train_seconds": 11}


def test_threads_may_overtake_each_other(times):
    measured = train([], times, [[0, 1, 2], [10, 13, 11, 13]]).measurements(batch_size=8)
    assert measured["step_ms_p50"] == 1500  # of 1 and 2 seconds


def test_an_epoch_ends_when_the_device_has_done_its_work(times):
    def wait():
        times[:] = [9]

    watched = clock.TrainingClock(wait)
    times.append(0)
    watched.begin_epoch()
    assert watched.end_epoch() == (0, 9)


def test_steps_of_one_call_share_its_time(times):
    watched = clock.TrainingClock(lambda: None)
    for epoch in ([0, 8, 10, 11], [20, 24, 28, 29]):
        times.extend(epoch)
        watched.begin_epoch()
        for last in (4, 6):  # four steps in the first call, two in the second
            watched.end_step(last)
        assert watched.end_epoch()[0] == 6
    measured = watched.measurements(batch_size=8)
    assert measured["images_per_second"] == 6 * 8 / 9
    assert measured["step_ms_p50"] == 1500  # of 1 and 2 seconds
    assert measured["compile_seconds"] == 8 - 4 * 1.5
