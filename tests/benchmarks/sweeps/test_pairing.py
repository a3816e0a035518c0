from benchmarks.sweeps.pairing import Pairing, group_of


def test_one_host_does_all_in_the_order_of_the_plan(configs):
    waiting = Pairing(configs, {})
    assert [waiting.take("a", {"a"}) for _ in configs] == configs
    assert waiting.take("a", {"a"}) is None


def test_what_is_paired_goes_to_one_host(configs):
    waiting = Pairing(configs, {})
    hosts = {"a", "b"}
    assert [waiting.take(host, hosts).seed for host in "abbab"] == [0, 1, 1, 0, 2]
    assert waiting.take("a", hosts) is None  # the last one belongs to a run of "b"
    assert waiting.take("b", hosts) == configs[-1]


def test_a_host_leaves_the_groups_of_another_to_it(configs):
    waiting = Pairing(configs[:2], {})
    assert waiting.take("a", {"a", "b"}) == configs[0]
    assert waiting.take("b", {"a", "b"}) is None
    assert waiting.take("a", {"a", "b"}) == configs[1]


def test_the_groups_of_a_host_that_is_gone_come_last(configs):
    waiting = Pairing(configs, {group_of(configs[0]): "gone"})
    taken = [waiting.take("b", {"b"}).seed for _ in configs]
    assert taken == [1, 1, 2, 2, 0, 0]


def test_a_run_that_is_given_back_is_the_next_of_its_host(configs):
    waiting = Pairing(configs, {})
    lost = waiting.take("a", {"a"})
    waiting.give_back(lost)
    assert waiting.take("a", {"a"}) == lost


def test_a_last_run_that_is_given_back_waits_again(configs):
    waiting = Pairing(configs[:1], {})
    assert waiting.take("a", {"a"}) == configs[0]
    waiting.give_back(configs[0])
    assert waiting.take("b", {"a", "b"}) is None  # "a" still has a worker
    assert waiting.take("b", {"b"}) == configs[0]
