"""Computes how many bytes data parallel training sends between devices, and the time for them.

A ring all-reduce (Patarasuk and Yuan 2009, https://doi.org/10.1016/j.jpdc.2008.09.002) of S bytes
over N devices takes 2 (N - 1) messages of S / N bytes each, one after the other:

    seconds = 2 (N - 1) (S / (N * bandwidth) + latency)

A reduce-scatter and an all-gather, as with a split optimizer state, take the same together.
"""

import dataclasses

LATENCY_SECONDS = 5e-6
"""The latency of a message."""

LINKS = {"NVLink": 450e9, "InfiniBand": 50e9, "Ethernet": 12.5e9}
"""The published bytes a second in one direction: NVLink 4 of an H100, 900 GB/s for both directions;
NDR, 400 Gb/s; 100 Gb/s. A ring has one link from machine to machine, for any number of devices in a
machine."""

DEVICES_OF_A_MACHINE = 8
"""The number of devices that NVLink connects."""

PEAK_FLOPS = 989e12
"""The published peak of an H100 SXM in bfloat16, dense."""

UTILISATION = 0.4
"""The assumed share of the peak that training reaches."""


@dataclasses.dataclass(frozen=True)
class Model:
    """The costs of a training step of a model."""

    parameters: float
    multiply_adds: float
    """The multiply-adds of the forward pass, for one image of 224 x 224."""

    def gradient_bytes(self) -> float:
        """Return the bytes of its gradients in float32."""
        return 4 * self.parameters

    def compute_seconds(self, images: int) -> float:
        """Return the computed time of both passes, three times that of the forward pass."""
        return 3 * 2 * self.multiply_adds * images / (UTILISATION * PEAK_FLOPS)


MODELS = {
    # He et al. 2016, https://arxiv.org/abs/1512.03385, table 1; parameters as in Keras.
    "ResNet-50": Model(25.6e6, 3.8e9),
    # Dosovitskiy et al. 2021, https://arxiv.org/abs/2010.11929, table 1. The multiply-adds are
    # those of 197 tokens with 86 million weights, and of the attention in 12 layers of width 768.
    "ViT-B/16": Model(86e6, 197 * 86e6 + 12 * 2 * 197**2 * 768),
}


def ring_seconds(size: float, devices: int, bytes_per_second: float) -> float:
    """Return the time of an all-reduce of `size` bytes over a ring."""
    return 2 * (devices - 1) * (size / (devices * bytes_per_second) + LATENCY_SECONDS)
