"""What data parallel training sends between its devices, and how long that takes: on paper.

A ring all-reduce (Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002) of S bytes
over N devices takes 2 (N - 1) messages of S / N bytes each, one after the other:

    seconds = 2 (N - 1) (S / (N * bandwidth) + latency)

A reduce-scatter and an all-gather, as with a split optimizer state, take as much together.
"""

import dataclasses

LATENCY_SECONDS = 5e-6
"""Of a message."""

LINKS = {"NVLink": 450e9, "InfiniBand": 50e9, "Ethernet": 12.5e9}
"""Bytes a second in one direction, as published: NVLink 4 of an H100, 900 GB/s both ways; NDR,
400 Gb/s; 100 Gb/s. A ring crosses from machine to machine once, whatever devices a machine has."""

DEVICES_OF_A_MACHINE = 8
"""That NVLink connects."""

PEAK_FLOPS = 989e12
"""Of an H100 SXM in bfloat16, dense, as published."""

UTILISATION = 0.4
"""Share of the peak that a training reaches: assumed."""


@dataclasses.dataclass(frozen=True)
class Model:
    """What a training step of a model costs."""

    parameters: float
    multiply_adds: float
    """Of the forward pass, for one image of 224 x 224."""

    def gradient_bytes(self) -> float:
        """Return the bytes of its gradients in float32."""
        return 4 * self.parameters

    def compute_seconds(self, images: int) -> float:
        """Return the time of forward and backward pass, three times the forward's, on paper."""
        return 3 * 2 * self.multiply_adds * images / (UTILISATION * PEAK_FLOPS)


MODELS = {
    # He et al. 2016, https://arxiv.org/abs/1512.03385, table 1; parameters of Keras's.
    "ResNet-50": Model(25.6e6, 3.8e9),
    # Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929, table 1. Multiply-adds: of each of
    # 197 tokens with each of the 86 million weights, and attention in 12 layers of width 768.
    "ViT-B/16": Model(86e6, 197 * 86e6 + 12 * 2 * 197**2 * 768),
}


def ring_seconds(size: float, devices: int, bytes_per_second: float) -> float:
    """Return the time of an all-reduce of `size` bytes over a ring."""
    return 2 * (devices - 1) * (size / (devices * bytes_per_second) + LATENCY_SECONDS)
