"""Chapter 04: from words to one vector a text, and from there to a class."""

import numpy as np

from solutions.losses import cross_entropy


def naive_bayes(
    words: np.ndarray, mask: np.ndarray, targets: np.ndarray, vocabulary: int, classes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fit multinomial naive Bayes, with one added to every count, as the weights of a linear classifier.

    Args:
        words: (texts, time) integers from 0 to vocabulary − 1.
        mask: (texts, time) bool, True where a real word stands.
        targets: (texts,) integers, the classes, from 0; each class occurs.
        vocabulary: how many word numbers there are.
        classes: how many classes there are.

    Returns:
        w: (vocabulary, classes) float64, log P(word | class); b: (classes,) float64, log P(class).

    Source:
        Jurafsky and Martin, Speech and Language Processing, chapter on naive Bayes.
    """
    seen = np.ones((vocabulary, classes))
    np.add.at(seen, (words[mask], targets[np.nonzero(mask)[0]]), 1.0)
    return np.log(seen / seen.sum(axis=0)), np.log(np.bincount(targets, minlength=classes) / len(targets))


def naive_bayes_scores(words: np.ndarray, mask: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Add up what naive Bayes knows of a text's words: log P(text, class) up to a constant.

    Args:
        words: (texts, time) integers, word numbers.
        mask: (texts, time) bool, True where a real word stands.
        w: (vocabulary, classes) float64 and b: (classes,) float64, from `naive_bayes`.

    Returns:
        (texts, classes) float64; the largest entry of a row is the most probable class.
    """
    return np.where(mask[:, :, None], w[words], 0.0).sum(axis=1) + b


def pool_words(vectors: np.ndarray, mask: np.ndarray, how: str) -> np.ndarray:
    """Make one vector of each text out of the vectors of its real words.

    Args:
        vectors: (batch, time, features) float64; what stands at padded places is arbitrary.
        mask: (batch, time) bool, True where a real word stands; the real words may stand anywhere in the row.
        how: "mean" or "max", over the real words, for each feature by itself.

    Returns:
        (batch, features) float64; a row of zeros for a text with no real word.

    Raises:
        ValueError: how is neither.

    Source:
        Deck E (zero the pads, sum, divide by the number of real words); deck D (mean and max pooling).
    """
    if how not in ("mean", "max"):
        raise ValueError(f"words are pooled by 'mean' or 'max', not {how!r}")
    ### BEGIN SOLUTION
    real = mask[:, :, None]  # (batch, time, 1)
    if how == "mean":
        count = np.maximum(mask.sum(axis=1, keepdims=True), 1)  # (batch, 1)
        return np.where(real, vectors, 0.0).sum(axis=1) / count
    largest = np.where(real, vectors, -np.inf).max(axis=1)  # (batch, features)
    return np.where(mask.any(axis=1, keepdims=True), largest, 0.0)
    ### END SOLUTION


def text_loss(
    embeddings: np.ndarray, w: np.ndarray, b: np.ndarray, words: np.ndarray, mask: np.ndarray, targets: np.ndarray
) -> float:
    """Give the loss of a classifier that reads the mean of a text's word vectors.

    Args:
        embeddings: (vocabulary, features) float64, one row a word.
        w: (features, classes) float64; b: (classes,) float64.
        words: (batch, time) integers, word numbers.
        mask: (batch, time) bool, True where a real word stands.
        targets: (batch,) integers, the right classes.

    Returns:
        The mean cross-entropy of softmax(pooled @ w + b), in nats.
    """
    pooled = pool_words(embeddings[words], mask, "mean")  # (batch, features)
    return cross_entropy(pooled @ w + b, targets)[0]


def text_gradients(
    embeddings: np.ndarray, w: np.ndarray, b: np.ndarray, words: np.ndarray, mask: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Give the gradients of `text_loss`: of the word vectors, of the weights and of the biases.

    Args:
        embeddings: (vocabulary, features) float64, one row a word.
        w: (features, classes) float64; b: (classes,) float64.
        words: (batch, time) integers, word numbers; a word may occur several times in a text and in several texts.
        mask: (batch, time) bool, True where a real word stands; every text has one.
        targets: (batch,) integers, the right classes.

    Returns:
        grad_embeddings: (vocabulary, features) float64, zeros for words that do not occur; grad_w: (features, classes)
        float64; grad_b: (classes,) float64.

    Source:
        Deck D, figure 7.11 (pooled embeddings); the gradients are derived in the chapter.
    """
    pooled = pool_words(embeddings[words], mask, "mean")  # (batch, features)
    grad_logits = cross_entropy(pooled @ w + b, targets)[1]  # (batch, classes)
    grad_embeddings = np.zeros_like(embeddings)
    ### BEGIN SOLUTION
    share = grad_logits @ w.T / mask.sum(axis=1, keepdims=True)  # (batch, features): what each real word of a text gets
    np.add.at(grad_embeddings, words[mask], share[np.nonzero(mask)[0]])  # a word that occurs twice gets two shares
    return grad_embeddings, pooled.T @ grad_logits, grad_logits.sum(axis=0)
    ### END SOLUTION


def train_text_classifier(
    words: np.ndarray,
    mask: np.ndarray,
    targets: np.ndarray,
    vocabulary: int,
    classes: int,
    epochs: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Train word vectors and a softmax layer on them, from random numbers, by gradient steps on small batches.

    Args:
        words: (texts, time) integers from 0 to vocabulary − 1.
        mask: (texts, time) bool, True where a real word stands; every text has one.
        targets: (texts,) integers, the classes, from 0.
        vocabulary: how many word numbers there are.
        classes: how many classes there are.
        epochs: how often each text may be used.
        rng: where all random numbers come from.

    Returns:
        embeddings: (vocabulary, features) float64, w: (features, classes) float64, b: (classes,) float64 of a classifier that
        chooses the largest entry of pool_words(embeddings[words], mask, "mean") @ w + b.

    Source:
        Deck D, figure 7.11; Joulin et al. 2017, Bag of Tricks for Efficient Text Classification.
    """
    ### BEGIN SOLUTION
    features, batch, rates = 16, 32, (20.0, 0.2, 0.2)
    embeddings = 0.1 * rng.normal(size=(vocabulary, features))
    w, b = rng.normal(size=(features, classes)), np.zeros(classes)
    for epoch in range(epochs):
        order = rng.permutation(len(words))
        for start in range(0, len(words), batch):
            rows = order[start : start + batch]
            left = 1 - (epoch + start / len(words)) / epochs  # steps get smaller towards the end
            grads = text_gradients(embeddings, w, b, words[rows], mask[rows], targets[rows])
            for parameter, grad, rate in zip((embeddings, w, b), grads, rates, strict=True):
                parameter -= left * rate * grad  # in place
    return embeddings, w, b
    ### END SOLUTION


def convolve_words(x: np.ndarray, kernel: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Slide filters over every window of neighbouring words; no padding is added.

    Args:
        x: (batch, time, features) float64, a vector for each word.
        kernel: (width, features, filters) float64, width at most time; kernel[0] meets the first word of a window.
        b: (filters,) float64.

    Returns:
        (batch, time − width + 1, filters) float64: entry [n, t, f] adds, over the width words from t on and over all
        features, word times weight of filter f, and then b[f].

    Source:
        Deck C, convolution over n-grams; LeCun's convention, in which the kernel is not turned round.
    """
    ### BEGIN SOLUTION
    width = len(kernel)
    windows = x.shape[1] - width + 1
    return sum((x[:, k : k + windows] @ kernel[k] for k in range(width)), start=b)  # (batch, windows, filters)
    ### END SOLUTION


def convolve_words_backward(
    grad_y: np.ndarray, x: np.ndarray, kernel: np.ndarray, b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pass the gradient through `convolve_words` to the words, the filters and the biases.

    Args:
        grad_y: (batch, time − width + 1, filters) float64, ∂loss/∂output.
        x: (batch, time, features) float64, a vector for each word.
        kernel: (width, features, filters) float64; b: (filters,) float64.

    Returns:
        grad_x: (batch, time, features) float64; grad_kernel: (width, features, filters) float64; grad_b: (filters,) float64.

    Source:
        Derived in the chapter.
    """
    windows = grad_y.shape[1]
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    ### BEGIN SOLUTION
    for k in range(len(kernel)):
        grad_x[:, k : k + windows] += grad_y @ kernel[k].T  # word t + k was read by window t
        grad_kernel[k] = np.einsum("ntf,nto->fo", x[:, k : k + windows], grad_y)
    return grad_x, grad_kernel, grad_y.sum(axis=(0, 1))
    ### END SOLUTION
