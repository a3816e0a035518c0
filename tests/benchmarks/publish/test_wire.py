import pytest

from benchmarks.publish import wire


@pytest.mark.parametrize("devices", [2, 3, 8, 50])
def test_a_ring_played_through(devices):
    """Every device sends a part to the next; after 2 (N - 1) rounds, each has the sum of all."""
    values = [[10.0 ** (d % 5) + part for part in range(devices)] for d in range(devices)]
    whole = [sum(device[part] for device in values) for part in range(devices)]
    sent = 0
    for round_ in range(2 * (devices - 1)):
        parts = [(d - round_) % devices for d in range(devices)]
        given = [values[d][parts[d]] for d in range(devices)]
        sent += 1
        for d in range(devices):
            source = (d - 1) % devices
            kept = values[d][parts[source]] if round_ < devices - 1 else 0.0
            values[d][parts[source]] = kept + given[source]
    assert all(device == pytest.approx(whole) for device in values)
    size, bandwidth = 1e9, 1e10
    seconds = wire.ring_seconds(size, devices, bandwidth)
    assert seconds == pytest.approx(sent * (size / devices / bandwidth + wire.LATENCY_SECONDS))
