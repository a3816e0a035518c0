from benchmarks.names import MOST_NAMES, nearest


def test_the_nearest_names_are_named():
    assert nearest("adm", ["adam", "sgd"]) == "did you mean adam?"
    assert nearest("zzzz", ["sgd", "adam"]) == "valid are: adam, sgd"


def test_hundreds_of_names_are_not_all_named():
    words = nearest("zzzz", [f"set{number:03}" for number in range(500)])
    assert words.startswith("valid are: set000, set001, ")
    assert words.endswith(f" and {500 - MOST_NAMES} more")
