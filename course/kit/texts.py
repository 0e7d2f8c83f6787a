"""Texts as numbers: splitting into words, numbering them, padding, counting; and counting what was taken for what."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np

#: Word numbers with a meaning of their own.
PADDING, UNKNOWN = 0, 1


def split_words(text: str) -> list[str]:
    """Split a text into lower-case words and the marks ! and ?; line breaks of web pages are dropped.

    Args:
        text: any text.

    Returns:
        Its words in order.
    """
    return re.findall(r"[a-z0-9']+|[!?]", text.lower().replace("<br />", " "))


def number_words(texts: list[list[str]], size: int) -> dict[str, int]:
    """Number the most frequent words from 2; 0 is padding and 1 stands for every word that is left out.

    Args:
        texts: the training texts, as lists of words.
        size: how many numbers there are, padding and unknown included.

    Returns:
        Word → number, at most size − 2 words.
    """
    counts = Counter(word for text in texts for word in text)
    return {word: number for number, (word, _) in enumerate(counts.most_common(size - 2), start=2)}


def pad_texts(texts: list[list[str]], numbers: dict[str, int], longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Write texts as rows of word numbers, all of one length; of a longer text the first and the last half are kept.

    Args:
        texts: lists of words.
        numbers: word → number, from `number_words`.
        longest: length of a row, even.

    Returns:
        words: (texts, longest) int64, padded with 0 at the end; mask: (texts, longest) bool, True where a real word stands.
    """
    words = np.full((len(texts), longest), PADDING)
    for row, text in zip(words, texts, strict=True):
        kept = text if len(text) <= longest else text[: longest // 2] + text[-(longest // 2) :]
        row[: len(kept)] = [numbers.get(word, UNKNOWN) for word in kept]
    return words, words != PADDING


def confusion_matrix(predicted: np.ndarray, targets: np.ndarray, classes: int) -> np.ndarray:
    """Count how often each class was taken for each other one.

    Args:
        predicted: (batch,) integers, the classes a classifier gives.
        targets: (batch,) integers, the right ones.
        classes: how many there are.

    Returns:
        (classes, classes) int64: entry [i, j] counts texts of class i that were called j.
    """
    matrix = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(matrix, (targets, predicted), 1)
    return matrix
