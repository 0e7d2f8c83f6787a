"""Made-up languages whose entropy is known exactly, so that one can see how far a model is from the best there can be.

Sentences of a source are independent of each other. With T tokens in a sentence, ``<eos>`` included, the entropy rate is
H(sentence) / E[T] in nats a token, and no model's perplexity lies below exp(entropy) but by the chance of a sample. What each
source asks of a model:

* :class:`Markov`: the last two words decide, so a 3-gram model can be perfect and a 2-gram model cannot;
* :class:`Brackets`: what closes depends on what was opened any distance ago, so a model needs a stack's worth of memory;
* :class:`Copy`: every letter of the second half stands, in order, in the first one, so a model has to look one up.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Protocol

import numpy as np

from course.kit.corpora import END


class Source(Protocol):
    """A language that is known exactly."""

    @property
    def entropy(self) -> float:
        """Entropy rate in nats a token, ``<eos>`` counted as a token."""

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """Draw one sentence, without its ``<eos>``."""

    def log_probabilities(self, sentence: Sequence[str]) -> np.ndarray:
        """ln P(token | all before it) of a sentence's tokens and its ``<eos>``, (tokens + 1,) float64; −inf is impossible."""


def sample(source: Source, tokens: int, rng: np.random.Generator) -> list[list[str]]:
    """Draw sentences until they have at least this many tokens, ``<eos>`` included."""
    sentences = []
    while tokens > 0:
        sentences.append(source.sentence(rng))
        tokens -= len(sentences[-1]) + 1
    return sentences


def _stationary(transition: np.ndarray) -> np.ndarray:
    """The distribution π with π = π·transition and Σπ = 1; transition: (states, states), rows sum to 1."""
    states = len(transition)
    equations = np.vstack([transition.T - np.eye(states), np.ones(states)])
    return np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0]


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    """−Σ p ln p over the last axis, in nats; 0 ln 0 is 0."""
    return -np.sum(probabilities * np.log(np.where(probabilities > 0, probabilities, 1.0)), axis=-1)


# ---- a Markov source ---------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Markov:
    """Each word depends on the ``memory`` words before it and on nothing else (马尔可夫信源).

    Every sentence starts anew: before its first word there is nothing but ``<eos>``.

    Attributes:
        words: the words that can occur, ``<eos>`` first.
        memory: how many words back the next one depends on.
        next_word: (contexts, words) float64, P(word | context). Contexts are all tuples of ``memory`` words in the order of
            ``itertools.product``; those that cannot occur have a row too.
    """

    words: tuple[str, ...]
    memory: int
    next_word: np.ndarray

    @classmethod
    def random(cls, words: Sequence[str], memory: int, seed: int, spread: float = 0.25) -> Markov:
        """Draw a source: words by a Dirichlet distribution, ends of sentences with a chance of 5 % to 20 %.

        Args:
            words: without ``<eos>``.
            memory: words that the next one depends on, at least 1.
            seed: of the draw.
            spread: the Dirichlet distribution's parameter; the smaller it is, the better the next word can be foreseen.
        """
        rng = np.random.default_rng(seed)
        contexts = list(product((END, *words), repeat=memory))
        ends = rng.uniform(0.05, 0.2, size=len(contexts))
        ends[[context[-1] == END for context in contexts]] = 0.0  # no empty sentences
        follow = rng.dirichlet(np.full(len(words), spread), size=len(contexts))
        return cls((END, *words), memory, np.column_stack([ends, (1 - ends)[:, None] * follow]))

    @cached_property
    def _after(self) -> list[list[int]]:
        """Number of the context that follows (context, word); a sentence's end leads back to the first context."""
        size, contexts = len(self.words), len(self.next_word)
        after = (np.arange(contexts)[:, None] * size + np.arange(size)) % contexts
        after[:, 0] = 0
        return after.tolist()

    @cached_property
    def _visits(self) -> np.ndarray:
        """How often each context occurs in the long run, (contexts,) float64."""
        contexts = len(self.next_word)
        transition = np.zeros((contexts, contexts))
        np.add.at(transition, (np.arange(contexts)[:, None], np.array(self._after)), self.next_word)
        # Contexts that are never come back to would make the equations hard to solve: only those that occur stay in.
        reached, edge = np.zeros(contexts, dtype=bool), np.arange(contexts) == 0
        while edge.any():
            reached |= edge
            edge = (transition[edge] > 0).any(axis=0) & ~reached
        visits = np.zeros(contexts)
        visits[reached] = _stationary(transition[np.ix_(reached, reached)])
        return visits

    @property
    def entropy(self) -> float:
        """Entropy rate in nats a token: Σ π(context) H(next word | context)."""
        return float(self._visits @ _entropy(self.next_word))

    def limit(self, order: int) -> float:
        """The least cross-entropy that an n-gram model of an order can have here, in nats a token.

        That is H(next word | order − 1 words before); from order ``memory`` + 1 on it is the entropy rate itself.

        Args:
            order: 1 sees no word before the next one, 2 sees one, and so on.
        """
        size = len(self.words)
        seen = min(order - 1, self.memory)
        # The rightmost `seen` words of a context's number are its remainder.
        joint = np.zeros((size**seen, size))
        np.add.at(joint, np.arange(len(self.next_word)) % size**seen, self._visits[:, None] * self.next_word)
        context = joint.sum(axis=1)
        return float(_entropy(joint.ravel()) - _entropy(context))

    @cached_property
    def _cumulative(self) -> list[list[float]]:
        return np.cumsum(self.next_word, axis=1).tolist()

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """Draw one sentence, without its ``<eos>``."""
        words: list[str] = []
        context = 0
        while True:
            number = min(bisect_right(self._cumulative[context], rng.random()), len(self.words) - 1)
            if number == 0:
                return words
            words.append(self.words[number])
            context = self._after[context][number]

    def log_probabilities(self, sentence: Sequence[str]) -> np.ndarray:
        """ln P(token | all before it) of a sentence's tokens and its ``<eos>``, (tokens + 1,) float64."""
        numbers, context, chances = {word: number for number, word in enumerate(self.words)}, 0, []
        for word in (*sentence, END):
            chances.append(self.next_word[context, numbers[word]] if word in numbers else 0.0)
            context = self._after[context][numbers.get(word, 0)]
        return _log(chances)


def _log(chances: Sequence[float]) -> np.ndarray:
    """Logarithms, −inf for 0."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(chances, dtype=np.float64))


# ---- brackets ----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Brackets:
    """Balanced brackets of several kinds: the grammar S → S B | B, B → ( S ) | ( ) | [ S ] | [ ] …, of bounded depth.

    No string can be taken apart in two ways, so its probability is a product of choices. Once the number of open brackets is
    known, a choice has a known entropy; their number is a Markov chain.

    Attributes:
        kinds: pairs such as "()", opening and closing bracket.
        deepest: how many brackets can be open at most.
        close: chance to close the innermost bracket where another one might be opened.
        end: chance that a sentence ends where every bracket is closed.
    """

    kinds: tuple[str, ...] = ("()", "[]", "{}", "«»")
    deepest: int = 6
    close: float = 0.5
    end: float = 0.5

    def _turn_back(self, depth: int, begun: bool) -> float:
        """Chance that the next token is a closing bracket or, with none open, the sentence's end."""
        if depth == 0:
            return self.end if begun else 0.0
        return 1.0 if depth == self.deepest else self.close

    @property
    def entropy(self) -> float:
        """Entropy rate in nats a token: Σ π(open brackets) H(next token | open brackets)."""
        # States: 0 … deepest brackets open, and last the start of a sentence.
        states = [(depth, True) for depth in range(self.deepest + 1)] + [(0, False)]
        back = np.array([self._turn_back(*state) for state in states])
        transition = np.zeros((len(states), len(states)))
        for state, (depth, _) in enumerate(states):
            transition[state, depth - 1 if depth else -1] += back[state]
            transition[state, min(depth + 1, self.deepest)] += 1 - back[state]
        choices = np.column_stack([back, *((1 - back) / len(self.kinds) for _ in self.kinds)])
        return float(_stationary(transition) @ _entropy(choices))

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """Draw one sentence, without its ``<eos>``."""
        words: list[str] = []
        waiting: list[str] = []
        while True:
            if rng.random() < self._turn_back(len(waiting), bool(words)):
                if not waiting:
                    return words
                words.append(waiting.pop())
            else:
                pair = self.kinds[int(rng.integers(len(self.kinds)))]
                words.append(pair[0])
                waiting.append(pair[1])

    def log_probabilities(self, sentence: Sequence[str]) -> np.ndarray:
        """ln P(token | all before it) of a sentence's tokens and its ``<eos>``, (tokens + 1,) float64."""
        closing = {pair[0]: pair[1] for pair in self.kinds}
        waiting: list[str] = []
        chances = []
        for place, word in enumerate((*sentence, END)):
            back = self._turn_back(len(waiting), place > 0)
            if word in closing:
                chances.append((1 - back) / len(closing))
                waiting.append(closing[word])
            else:
                fits = word == (waiting[-1] if waiting else END)
                chances.append(back if fits else 0.0)
                waiting = waiting[:-1]
        return _log(chances)


# ---- copying -----------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Copy:
    """Random letters, the mark =, and the same letters again: "b f a = b f a".

    The second half holds no news, so of all that is said more than half can be known beforehand, by whoever can look back.

    Attributes:
        letters: all are equally likely.
        shortest: letters in the shortest half.
        longest: letters in the longest half; all lengths between are equally likely.
    """

    letters: tuple[str, ...] = tuple("abcdefghij")
    shortest: int = 5
    longest: int = 12

    @property
    def entropy(self) -> float:
        """Entropy rate in nats a token: (H(length) + E[length] ln letters) / (2 E[length] + 2)."""
        length = (self.shortest + self.longest) / 2
        news = math.log(self.longest - self.shortest + 1) + length * math.log(len(self.letters))
        return news / (2 * length + 2)

    def sentence(self, rng: np.random.Generator) -> list[str]:
        """Draw one sentence, without its ``<eos>``."""
        length = int(rng.integers(self.shortest, self.longest + 1))
        half = [self.letters[number] for number in rng.integers(len(self.letters), size=length)]
        return [*half, "=", *half]

    def log_probabilities(self, sentence: Sequence[str]) -> np.ndarray:
        """ln P(token | all before it) of a sentence's tokens and its ``<eos>``, (tokens + 1,) float64."""
        return _log(list(self._chances(sentence)))

    def _chances(self, sentence: Sequence[str]) -> Iterator[float]:
        half: list[str] | None = None
        for place, word in enumerate((*sentence, END)):
            if half is not None:  # the mark is at len(half), so its letters come again from len(half) + 1 on
                again = place - len(half) - 1
                yield float(word == (half[again] if again < len(half) else END))
                continue
            # As many lengths are still possible as there are from here to the longest, and each is equally likely.
            stop = 1 / max(self.longest - place + 1, 1) if place >= self.shortest else 0.0
            if word == "=":
                half = list(sentence[:place])
                yield stop
            else:
                yield (1 - stop) / len(self.letters) if word in self.letters else 0.0


#: The sources behind ``corpora.load("markov")``, "brackets" and "copy".
SOURCES: dict[str, Source] = {
    "markov": Markov.random(("ba", "de", "fi", "go", "hu", "ka", "le", "mi", "no", "tu"), memory=2, seed=1913),
    "brackets": Brackets(),
    "copy": Copy(),
}
