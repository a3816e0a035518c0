"""Data sets for tests only."""

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image


class ByClass(tfds.core.GeneratorBasedBuilder):
    """Fifteen images of each of four classes, in the order of the classes, and no test split."""

    VERSION = tfds.core.Version("1.0.0")
    CLASSES = 4
    IMAGE = tfds.features.Image

    def _info(self):
        features = {
            "image": self.IMAGE(shape=(2, 2, 1)),
            "label": tfds.features.ClassLabel(num_classes=self.CLASSES),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for number in range(60):
            yield number, {"image": np.full((2, 2, 1), number, np.uint8), "label": number // 15}


class Inverting(tfds.features.Image):
    """A feature that inverts bright images, with a branch that depends on a tensor."""

    def decode_example(self, example):
        image = super().decode_example(example)
        if tf.reduce_max(image) >= 30:
            image = 255 - image
        return image


class Branching(ByClass):
    """Images and labels that are read with branches, which AutoGraph has to rewrite."""

    IMAGE = Inverting

    def _as_dataset(self, *arguments, **keywords):
        def change(record):
            if record["label"] == 3:
                record = {**record, "label": tf.zeros_like(record["label"])}
            return record

        return super()._as_dataset(*arguments, **keywords).map(change)


class WrongLabels(ByClass):
    """A training image without a label, and a test image of a class too many."""

    def _split_generators(self, dl_manager):
        return {"train": self._images(0, 1, -1, 0), "test": self._images(0, 1, 3, 1)}

    def _images(self, *labels):
        for number, label in enumerate(labels):
            yield number, {"image": np.full((2, 2, 1), number, np.uint8), "label": label}


def write_folder(folder, counts, classes=10):
    """Write images of one colour each, `counts` images of each class in each split."""
    for split, count in counts.items():
        for label in range(classes):
            path = folder / split / f"class {label}"
            path.mkdir(parents=True)
            for number in range(count):
                colour = (10 * label, number, len(split))
                Image.new("RGB", (4, 4), colour).save(path / f"{number}.png")
    return f"image_folder:{folder}"
