"""Images as arrays: one decoder for every backend."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name for images of 1, 3 or 4 channels."""

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""Those that can be told by the first bytes of a file. Its name does not count."""

ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag for how a camera was held, and its values for a picture on its side."""

# Pillow refuses a picture of more than 179 million pixels, in case a stranger sent it to a server.
# Here the pictures are the user's own.
Image.MAX_IMAGE_PIXELS = None


def open_image(file: Path | bytes) -> Any:
    """Return the `PIL.Image.Image` of a file, or of what is in one; its pixels are not read yet.

    Raises:
        OSError: it is not an image.
    """
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with warnings.catch_warnings():  # of formats that this build of Pillow was made without
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=known)


def is_image(path: Path) -> bool:
    """Say whether a file begins as an image does, whatever its name."""
    try:
        with open_image(path):
            return True
    except OSError:
        return False


def size(path: Path) -> tuple[int, int]:
    """Return the height and the width of the image in a file, the right way up."""
    with open_image(path) as image:
        if image.getexif().get(ORIENTATION) in TURNED:
            return image.width, image.height
        return image.height, image.width


def decode(file: Path | bytes, channels: int, size: tuple[int, int] | None = None) -> np.ndarray:
    """Read an image, the right way up.

    Args:
        file: the file, or what is in it.
        channels: 1, 3 or 4; an image with others is converted.
        size: height and width to bring the image to, if it has others.

    Returns:
        uint8, of shape (height, width, channels).

    Raises:
        OSError: it is not an image, or not a whole one.
    """
    with open_image(file) as opened:
        image = ImageOps.exif_transpose(opened)
        if image.mode.startswith("I"):  # 16 bits of grey, which `convert` would cut off at 255
            image = Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
        if image.mode == "F":
            raise OSError("its pixels are fractions; what they are fractions of is not known")
        if "transparency" in image.info:  # of a palette, say
            image = image.convert("RGBA")
        image = image.convert(MODES[channels])
    if size is not None and size != (image.height, image.width):
        image = _resize(image, size)
    return np.asarray(image).reshape(image.height, image.width, channels)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring an image of shape (height, width, channels) to a size; uint8 or float32 stays that."""
    if image.shape[:2] == size:
        return image
    channels = [_resize(Image.fromarray(channel), size) for channel in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _resize(image: Any, size: tuple[int, int]) -> Any:
    # Not `resize`: it takes the mean over what an image is made smaller by, and TensorFlow
    # interpolates between the four nearest pixels.
    scale = image.width / size[1], image.height / size[0]
    return image.transform(
        (size[1], size[0]),
        Image.Transform.AFFINE,
        (scale[0], 0, 0, 0, scale[1], 0),
        Image.Resampling.BILINEAR,
    )
