from benchmarks.names import nearest


def test_the_nearest_names_are_named():
    assert nearest("adm", ["adam", "sgd"]) == "did you mean adam?"
    assert nearest("zzzz", ["sgd", "adam"]) == "valid are: adam, sgd"
