"""array_file.py: arrays come back as they were, and no file is left."""

import tempfile

import numpy as np
import pytest

from colourizer.runtime.array_file import ArrayFile


def test_arrays_come_back_as_they_were_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    arrays = [np.arange(6, dtype=np.uint8).reshape(2, 3), np.ones((0, 4)), np.float16([0.5, -1])]
    with ArrayFile() as file:
        stored = [file.append(array) for array in arrays]
        for array, where in [*zip(arrays, stored, strict=True)][::-1]:
            read = file.read(where)
            assert read.dtype == array.dtype
            assert np.array_equal(read, array)
        turned = np.arange(6).reshape(2, 3).T  # not contiguous
        assert np.array_equal(file.read(file.append(turned)), turned)
        assert not list(tmp_path.iterdir())  # not even a killed process leaves one
    with pytest.raises(ValueError, match="closed"):
        file.append(arrays[0])
