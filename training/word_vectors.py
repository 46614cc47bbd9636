"""Word vectors by counting: a warm start for the encoder's embeddings.

Shifted positive pointwise mutual information factored by a truncated SVD, which Levy and Goldberg (2014,
"Neural word embedding as implicit matrix factorization") show to be what skip-gram with negative sampling
approximates; it needs no learning rate and takes minutes over the whole corpus.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.utils.extmath import randomized_svd

from training.packing import WORD_START, PackedCorpus


def cooccurrences(corpus: PackedCorpus, size: int, window: int = 4) -> sparse.csr_matrix:
    """Count pieces near each other, nearer ones more (weight 1/distance), within passages.

    Returns:
        (size, size) float32, symmetric.
    """
    ids = np.asarray(corpus.ids) & ~WORD_START
    passage = np.repeat(np.arange(len(corpus.sources), dtype=np.int32), corpus.lengths)
    nothing = np.zeros(0, dtype=np.int32)
    total = sparse.coo_matrix((nothing.astype(np.float32), (nothing, nothing)), shape=(size, size)).tocsr()
    block = 5_000_000
    for distance in range(1, window + 1):
        for begin in range(0, len(ids) - distance, block):
            end = min(begin + block, len(ids) - distance)
            same = passage[begin:end] == passage[begin + distance : end + distance]
            left = ids[begin:end][same].astype(np.int32)
            right = ids[begin + distance : end + distance][same].astype(np.int32)
            weights = np.full(len(left), 1.0 / distance, dtype=np.float32)
            total = total + sparse.coo_matrix((weights, (left, right)), shape=(size, size)).tocsr()
    return total + total.T


def word_vectors(
    corpus: PackedCorpus, size: int, dimensions: int, shift: float = 1.0, smoothing: float = 0.75, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Vectors of all pieces.

    Args:
        corpus: packed corpus.
        size: vocabulary size.
        dimensions: length of a vector.
        shift: negative samples k; log k is taken off the mutual information.
        smoothing: power on the context counts.
        seed: of the randomised SVD.

    Returns:
        (size, dimensions) float32; rows of pieces that never occur are zero.
    """
    counts = cooccurrences(corpus, size).tocoo()
    row = np.bincount(counts.row, weights=counts.data, minlength=size)
    context = row**smoothing
    context /= context.sum()
    information = np.log(counts.data / (row[counts.row] * context[counts.col])) - np.log(shift)
    keep = information > 0
    matrix = sparse.csr_matrix(
        (information[keep].astype(np.float32), (counts.row[keep], counts.col[keep])), shape=(size, size)
    )
    left, singular, _ = randomized_svd(matrix, n_components=dimensions, n_iter=3, random_state=seed)
    return np.asarray(left * np.sqrt(singular), dtype=np.float32)
