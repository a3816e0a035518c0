"""How a step runs on each backend. Only this package and `math.bits` import a backend."""
