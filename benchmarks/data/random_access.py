"""Files of a prepared data set that can be read in any order, without TensorFlow.

TFDS prepares TFRecord files, which tf.data reads, and which can only be read from the beginning.
The same records are added in the same order as ArrayRecord files, which TFDS's tf.data cannot read.
So a data set that was prepared once can be read on all backends.
"""

import json
from pathlib import Path
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_info, file_adapters

FORMAT = file_adapters.FileFormat.ARRAY_RECORD


def needed(backend: str) -> bool:
    """Say whether Grain reads a backend's data by number: on all backends but TensorFlow."""
    return backend != "tensorflow"


def has(builder: Any) -> bool:
    """Say whether the data set of a `tfds.core.DatasetBuilder` has ArrayRecord files."""
    # `info` has a list of formats too, but it is not restored from the disk.
    return bool(dataset_info.supports_file_format(builder.info.as_proto, FORMAT))


def add(builder: Any) -> None:
    """Write ArrayRecord files beside the files of a prepared data set, then list them in its JSON.

    If the writing is interrupted, the JSON does not list them, and the next call writes them again.
    """
    info = builder.info
    reader = file_adapters.ADAPTER_FOR_FORMAT[info.file_format]
    for split in info.splits.values():
        names = split.filename_template.replace(filetype_suffix=FORMAT.file_suffix)
        new = names.sharded_filepaths(len(split.shard_lengths))
        for path, target in zip(split.filepaths, new, strict=True):
            records = (record.numpy() for record in reader.make_tf_data(path))
            file_adapters.ADAPTER_FOR_FORMAT[FORMAT].write_examples(target, enumerate(records))
    description = Path(builder.data_dir) / "dataset_info.json"
    content = json.loads(description.read_text())
    content.setdefault("alternativeFileFormats", []).append(FORMAT.value)
    changed = description.with_name(".new-dataset_info.json")
    changed.write_text(json.dumps(content, indent=2))
    changed.replace(description)
    info.as_proto.alternative_file_formats.append(FORMAT.value)


def records(builder: Any, split: str) -> Any:
    """Return a sequence of dictionaries with "image", the bytes of the image's file, and "label".

    After this, the builder reads only these files.
    """
    builder.info.set_file_format(FORMAT, override=True, override_if_initialized=True)
    undecoded = {"image": tfds.decode.SkipDecoding()}
    return builder.as_data_source(split=split, decoders=undecoded)
