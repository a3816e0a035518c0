"""The embedded data set: scikit-learn's digits as a TFDS data set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

TEST_IMAGES = 360  # a fifth


class Digits(tfds.core.GeneratorBasedBuilder):
    """1,797 handwritten digits, 8x8 pixels, from the UCI repository; needs no network.

    `tfds.builder("digits")` finds the data set once this file is imported.
    """

    VERSION = tfds.core.Version("1.0.0")

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="The test half of UCI's handwritten digits, as scikit-learn bundles it.",
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(8, 8, 1)),
                    "label": tfds.features.ClassLabel(num_classes=10),
                }
            ),
            supervised_keys=("image", "label"),
            homepage="https://archive.ics.uci.edu/dataset/80",
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        # Ink counts from 0 to 16 become usual grey values.
        images = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., np.newaxis]
        # The draw is stratified, because there are only 36 test images of each class, and the
        # shares of the classes would change the accuracy. The seed is fixed, so that the data set
        # is the same everywhere.
        train_images, test_images, train_labels, test_labels = train_test_split(
            images, digits.target, test_size=TEST_IMAGES, stratify=digits.target, random_state=0
        )
        return {
            "train": self._generate_examples(train_images, train_labels),
            "test": self._generate_examples(test_images, test_labels),
        }

    def _generate_examples(
        self, images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for key, (image, label) in enumerate(zip(images, labels, strict=True)):
            yield key, {"image": image, "label": int(label)}
