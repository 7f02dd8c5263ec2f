"""The bundled digits and the split that the demo reports on."""

from importlib.resources import files

import numpy as np
import pytest

from fastgrad.datasets import load_digits, stratified_split


def test_digits_are_the_uci_set():
    images, labels = load_digits()
    assert (images.shape, images.dtype) == ((1797, 64), np.uint8)
    assert (labels.shape, labels.dtype) == ((1797,), np.int64)
    # Of the set as it was packed: the largest pixel, the sum of all, the examples of each class.
    assert images.max() == 16
    assert images.sum(dtype=np.int64) == 561718
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_digits_equal_scikit_learn():
    sklearn = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    reference = sklearn.load_digits()
    images, labels = load_digits()
    np.testing.assert_array_equal(images, reference.data)
    np.testing.assert_array_equal(labels, reference.target)


def test_digits_are_fresh_arrays():
    load_digits()[0][:] = 0
    assert load_digits()[0].any()


def test_digits_are_small_and_name_their_source():
    folder = files("fastgrad.datasets")
    assert len((folder / "digits.npz").read_bytes()) < 120_000
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "10.24432/C50P49" in text
    assert "CC BY 4.0" in text


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_split_keeps_the_share_of_every_class(share):
    labels = load_digits()[1]
    train, test = stratified_split(labels, test=share)
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), np.arange(len(labels)))
    expected = [round(share * count) for count in np.bincount(labels)]
    assert np.bincount(labels[test]).tolist() == expected


def test_split_is_random_by_seed_and_repeatable():
    labels = load_digits()[1]
    first, again, other = (stratified_split(labels, seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first) != set(other)
    assert (np.diff(first) < 0).any(), "shuffled, not sorted"


def test_split_takes_any_labels():
    train, test = stratified_split(["a", "b", "a", "b"], test=0.5)
    assert len(train) == len(test) == 2


@pytest.mark.parametrize("share", [0, 1, -0.5, float("nan")])
def test_split_refuses_a_share_outside_0_to_1(share):
    with pytest.raises(ValueError, match="between 0 and 1"):
        stratified_split([0, 1], test=share)


def test_split_refuses_labels_that_are_not_a_vector():
    with pytest.raises(ValueError, match=r"one dimension, not shape \(2, 2\)"):
        stratified_split(np.zeros((2, 2)))
