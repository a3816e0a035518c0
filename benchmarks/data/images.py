"""Decodes images to arrays, in the same way for every backend."""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

MODES = {1: "L", 3: "RGB", 4: "RGBA"}
"""Pillow's name for images of 1, 3 or 4 channels."""

FORMATS = ("JPEG", "MPO", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
"""The image formats, which are recognised by the first bytes of a file, not by its name."""

ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag for the orientation of the camera, and its values for a picture on its side."""

# Pillow refuses a picture of more than 179 million pixels, because a stranger may have sent it to a
# server. Here the pictures are the user's own.
Image.MAX_IMAGE_PIXELS = None


def open_image(file: Path | bytes) -> Any:
    """Return the `PIL.Image.Image` of a file or of its bytes; its pixels are not read yet.

    Raises:
        OSError: it is not an image.
    """
    Image.init()
    known = [name for name in FORMATS if name in Image.OPEN]
    with warnings.catch_warnings():  # about formats that this build of Pillow lacks
        warnings.simplefilter("ignore")
        return Image.open(io.BytesIO(file) if isinstance(file, bytes) else file, formats=known)


def is_image(path: Path) -> bool:
    """Say whether a file begins like an image; its name does not matter."""
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
        file: the file, or its bytes.
        channels: 1, 3 or 4; an image with another number is converted.
        size: height and width to which the image is resized.

    Returns:
        uint8, of shape (height, width, channels).

    Raises:
        OSError: it is not an image, or it is incomplete.
    """
    with open_image(file) as image:
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I"):  # 16-bit grey, which `convert` would clip at 255
            image = Image.fromarray(np.clip(np.asarray(image) >> 8, 0, 255).astype(np.uint8))
        if image.mode == "F":
            raise OSError("its pixels are fractions, and their range is not known")
        if "transparency" in image.info:  # for example of a palette
            image = image.convert("RGBA")
        if image.mode != MODES[channels]:  # `convert` would copy it
            image = image.convert(MODES[channels])
        if size is not None and size != (image.height, image.width):
            image = _resize(image, size)
        return np.asarray(image).reshape(image.height, image.width, channels)


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize an image of shape (height, width, channels); its dtype, uint8 or float32, stays."""
    if image.shape[:2] == size:
        return image
    channels = [_resize(Image.fromarray(channel), size) for channel in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(channel) for channel in channels], axis=-1)


def _resize(image: Any, size: tuple[int, int]) -> Any:
    # `resize` would take the mean over all pixels of an area, but TensorFlow interpolates between
    # the four nearest pixels.
    scale = image.width / size[1], image.height / size[0]
    return image.transform(
        (size[1], size[0]),
        Image.Transform.AFFINE,
        (scale[0], 0, 0, 0, scale[1], 0),
        Image.Resampling.BILINEAR,
    )
