"""How a step runs on each backend; the only package that imports one, `math.bits` apart."""
