"""A random split that keeps the share of every class."""

import numpy as np


def stratified_split(labels, test=0.2, seed=0):
    """Splits examples at random into a training and a test set, class by class.

    Args:
        labels: the class of each example, a 1-d sequence of length n.
        test: the fraction of each class that is held out, 0 < test < 1, rounded to whole examples.
        seed: the same seed gives the same split.

    Returns:
        train, test: two shuffled int64 arrays of positions in `labels`; together every position once.

    Raises:
        ValueError: `labels` is not 1-d, or `test` is not between 0 and 1.

    >>> train, test = stratified_split([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], test=0.4)
    >>> len(train), len(test)
    (6, 4)
    """
    labels = np.asarray(labels)
    if labels.ndim != 1:
        raise ValueError(f"stratified_split: labels must have one dimension, not shape {labels.shape}")
    if not 0 < test < 1:
        raise ValueError(f"stratified_split: test must lie between 0 and 1, not be {test}")
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    held_out = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held_out[members[: round(len(members) * test)]] = True
    return order[~held_out[order]], order[held_out[order]]
