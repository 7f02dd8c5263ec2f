"""The handwritten digits of the UCI repository; README.md beside this file names source and licence."""

from pathlib import Path

import numpy as np


def load_digits():
    """The 1,797 handwritten digits of the UCI set, 8x8 pixels each.

    Returns:
        images: uint8 array of shape (1797, 64), row-major pixels, 0 (paper) to 16 (ink).
        labels: int64 array of shape (1797,), the digit 0 to 9.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998, doi 10.24432/C50P49, CC BY 4.0.

    >>> images, labels = load_digits()
    >>> images.shape, int(images.max()), labels[:5].tolist()
    ((1797, 64), 16, [0, 1, 2, 3, 4])
    """
    with np.load(Path(__file__).parent / "digits.npz", allow_pickle=False) as file:
        return file["images"], file["labels"].astype(np.int64)
