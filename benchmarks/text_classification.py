"""The course's text classifiers beside naive Bayes and scikit-learn: accuracy on held-out film reviews, and seconds to train.

One split for all: 4,000 reviews to test, the other 20,904 to train, 10,000 words, 300 words of each review. scikit-learn comes with
``python3 start.py --with baselines``; without it its rows are left out, and the output says so.
Run it with ``python3 start.py bench text_classification``.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from course.kit.corpora import movie_reviews
from course.kit.texts import confusion_matrix, number_words, pad_texts, split_words
from solutions.text_classification import naive_bayes, naive_bayes_scores, pool_words, train_text_classifier

TEST, VOCABULARY, LONGEST, EPOCHS = 4_000, 10_000, 300, 10
MISSING = "scikit-learn is not installed: `python3 start.py --with baselines bench text_classification` adds its rows."


def by_naive_bayes(words: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counted weights; shape (TEST,), the classes given to the test reviews."""
    fitted = naive_bayes(words[TEST:], mask[TEST:], labels[TEST:], VOCABULARY, 2)
    return naive_bayes_scores(words[:TEST], mask[:TEST], *fitted).argmax(axis=1)


def by_pooled_embeddings(words: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The chapter's own classifier."""
    rng = np.random.default_rng(0)
    embeddings, w, b = train_text_classifier(words[TEST:], mask[TEST:], labels[TEST:], VOCABULARY, 2, EPOCHS, rng)
    return (pool_words(embeddings[words[:TEST]], mask[:TEST], "mean") @ w + b).argmax(axis=1)


def by_scikit_learn(model: str, words: np.ndarray, mask: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A linear classifier of scikit-learn on the same words."""
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    rows, columns = np.nonzero(mask)[0], words[mask]
    counts = csr_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(words), VOCABULARY))
    models: dict[str, Callable[[], Any]] = {
        "MultinomialNB": MultinomialNB,
        "TF-IDF + LogisticRegression": lambda: make_pipeline(
            TfidfTransformer(sublinear_tf=True), LogisticRegression(C=4.0)
        ),
    }
    predicted: np.ndarray = models[model]().fit(counts[TEST:], labels[TEST:]).predict(counts[:TEST])
    return predicted


def main() -> None:
    """Print one row a classifier."""
    reviews = movie_reviews()
    order = np.random.default_rng(4).permutation(len(reviews))
    texts = [split_words(reviews[i].text) for i in order]
    labels = np.array([reviews[i].label for i in order])
    words, mask = pad_texts(texts, number_words(texts[TEST:], VOCABULARY), LONGEST)
    classifiers: dict[str, Callable[[], np.ndarray]] = {
        "naive Bayes": lambda: by_naive_bayes(words, mask, labels),
        "pooled embeddings": lambda: by_pooled_embeddings(words, mask, labels),
    }
    has_sklearn = importlib.util.find_spec("sklearn") is not None
    for model in ("MultinomialNB", "TF-IDF + LogisticRegression") if has_sklearn else ():
        classifiers[f"scikit-learn {model}"] = lambda model=model: by_scikit_learn(model, words, mask, labels)
    rows = []
    for name, classify in classifiers.items():
        started = time.perf_counter()
        predicted = classify()
        seconds = time.perf_counter() - started
        right = float(np.mean(predicted == labels[:TEST]))
        matrix = confusion_matrix(predicted, labels[:TEST], 2).tolist()
        rows.append({"classifier": name, "accuracy": right, "seconds": seconds, "confusion": matrix})
    ahead = rows[1]["accuracy"] > rows[0]["accuracy"]
    summary = {"train": len(texts) - TEST, "test": TEST, "ahead_of_naive_bayes": ahead, "rows": rows}
    if not has_sklearn:
        summary["note"] = MISSING
    if "--json" in sys.argv:
        print(json.dumps(summary, indent=1))
        return
    print(f"{len(texts) - TEST:,} reviews to train, {TEST:,} to test")
    for row in rows:
        print(f"{row['classifier']:<42}{row['accuracy']:7.2%} right   {row['seconds']:6.1f} s")
    if not has_sklearn:
        print(MISSING)


if __name__ == "__main__":
    main()
