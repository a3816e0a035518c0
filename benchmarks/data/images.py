"""Images as arrays, read without TensorFlow."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name for images of 1, 3 or 4 channels."""

FORMATS = ("JPEG", "PNG", "BMP", "GIF")
"""Those that TensorFlow reads, too."""


def open_image(file: Path | bytes) -> Any:
    """Return the `PIL.Image.Image` of a file, or of what is in one; its pixels are not read yet.

    Raises:
        OSError: it is not an image.
    """
    return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=FORMATS)


def decode(file: Path | bytes, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image.

    Args:
        file: the file, or what is in it.
        channels: 1, 3 or 4; an image with others is converted.
        size: height and width to bring the image to, if it has others.

    Returns:
        uint8, of shape (height, width, channels).

    Raises:
        OSError: it is not an image, or not a whole one.
    """
    with open_image(file) as image:
        if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
            image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
        image = image.convert(MODES[channels])
    if size is not None and size != (image.height, image.width):
        # Not `resize`: it takes the mean over what an image is made smaller by, and TensorFlow
        # interpolates between the four nearest pixels.
        scale = image.width / size[1], image.height / size[0]
        image = image.transform(
            (size[1], size[0]),
            Image.Transform.AFFINE,
            (scale[0], 0, 0, 0, scale[1], 0),
            Image.Resampling.BILINEAR,
        )
    return np.asarray(image).reshape(image.height, image.width, channels)
