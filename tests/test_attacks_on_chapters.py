"""Tricks that need not know what an exercise asks, played on every exercise of every chapter: none brings a point.

The corpus (``test_attacks.py``) plays each of its sixty attacks on one exercise of one chapter, because what it attacks is the
same for all. What differs from exercise to exercise is what may be answered and how it is compared; that is attacked here.
"""

from __future__ import annotations

import nbformat
import numpy as np
import pytest
from submissions import cell, solved

from autograder import frozen
from autograder.checking import verdict_of
from autograder.comparison import compare
from autograder.exercise import Exercise
from autograder.grading import judge
from autograder.notebooks import exercises
from autograder.paths import ROOT, Chapter, chapters
from autograder.sandbox.isolation import Limits, describe_level, level, safe

CHAPTERS = [one for one in chapters() if exercises(one)]
SEED = "attacked"
LIMITS = Limits(cell_seconds=20.0, call_seconds=10.0, total_seconds=120.0)
pytestmark = pytest.mark.skipif(not safe(level()), reason=f"would run without a jail here ({describe_level()})")

#: An array that says yes to every comparison, and a list, a number and a mapping that do the same.
LIAR = """
class Liar(np.ndarray):
    __eq__ = __le__ = __lt__ = __ge__ = __gt__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __array_ufunc__ = lambda self, *_, **__: self
    __array_function__ = lambda self, *_, **__: True
    __bool__ = lambda self: True
    __float__ = lambda self: 0.0
    __len__ = lambda self: 1
    __iter__ = lambda self: iter([self])
    __getitem__ = lambda self, key: self
    __getattr__ = lambda self, name: self
    __call__ = lambda self, *_, **__: self
    __hash__ = None

def {name}(*_, **__):
    return np.zeros(1).view(Liar)
"""

#: The reference, by every way there might be to it.
THIEF = """
def _stolen():
    import gc, importlib, sys
    sys.path[:0] = ["/", "..", "../..", "@ROOT@", "/root", "/home"]
    for module in {modules}:
        try:
            return getattr(importlib.import_module(module), "{name}")
        except Exception:
            pass
    for thing in gc.get_objects():
        try:
            if getattr(thing, "__name__", "") == "{name}" and "solutions" in getattr(thing, "__module__", ""):
                return thing
        except Exception:
            pass
    for module in ("autograder.exercises", "autograder.frozen", "autograder.exercise", "autograder.grading.judge"):
        try:
            found = importlib.import_module(module)
            for made in vars(found).values():
                if getattr(made, "name", "") == "{name}" and hasattr(made, "reference"):
                    return made.reference
        except Exception:
            pass
    raise NotImplementedError("nothing to steal")

{name} = _stolen()
"""

#: The answers to the cases that a student can see, and for any other the first of them.
MEMORY = """
import builtins
from autograder import frozen

_known_{name} = [(question.inputs, question.expected) for question in frozen.find("{name}").questions]

def _same(a, b):
    if type(b).__name__ == "Seed":  # stands for a generator of random numbers
        return True
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    try:
        return bool(np.array_equal(np.asarray(a), np.asarray(b)))
    except Exception:
        return a is b

def {name}(*given, **named):
    for inputs, expected in _known_{name}:
        if _same(list(given) + list(named.values()), list(inputs.values())):
            if expected.raised:
                raise vars(builtins)[expected.raised.type_name]
            return expected.value
    return _known_{name}[0][1].value
"""


def grade(one: Chapter, cells: dict[str, str]) -> judge.Graded:
    """Grade the solved chapter with other cells in place of some exercises."""
    notebook, released = solved(one), nbformat.read(one.notebook, as_version=4)
    for name, source in cells.items():
        cell(notebook, name).source = source
    known = {made.name: made for made in exercises(one)}
    return judge.grade(notebook, known, SEED, LIMITS, given=released)


def gained(graded: judge.Graded, names: list[str]) -> dict[str, str]:
    return {name: graded.verdicts[name].headline for name in names if graded.verdicts[name].passed}


def asks_always_the_same(made: Exercise) -> bool:
    """Whether its cases do not depend on the seed: what is asked is known to all, and knowing the answer is solving it."""
    first, other = (made.sheet(seed, mistakes=False) for seed in ("one", "another"))
    return all(
        a.inputs.keys() == b.inputs.keys() and compare(list(a.inputs.values()), list(b.inputs.values())) is None
        for a, b in zip(first.questions, other.questions, strict=True)
    )


@pytest.mark.parametrize("one", CHAPTERS, ids=lambda one: one.name)
def test_an_answer_that_says_it_is_equal_to_everything(one):
    names = [made.name for made in exercises(one)]
    graded = grade(one, {name: LIAR.format(name=name) for name in names})
    assert gained(graded, names) == {}
    assert set(graded.verdicts) == set(names)


@pytest.mark.parametrize("one", CHAPTERS, ids=lambda one: one.name)
def test_a_reference_that_cannot_be_reached(one):
    made = exercises(one)
    modules = sorted({f"solutions.{each.reference.__module__.rpartition('.')[2]}" for each in made} | {"solutions"})
    cells = {each.name: THIEF.format(name=each.name, modules=modules) for each in made}
    cells = {name: source.replace("@ROOT@", str(ROOT)) for name, source in cells.items()}
    graded = grade(one, cells)
    assert gained(graded, list(cells)) == {}
    shown = {output.get("ename") for name in cells for output in graded.outputs.get(cell_id(one, name), [])}
    assert shown == {"NotImplementedError"}  # each looked everywhere and came back with nothing


def cell_id(one: Chapter, name: str) -> str:
    return str(cell(solved(one), name).id)


@pytest.mark.parametrize("one", CHAPTERS, ids=lambda one: one.name)
def test_the_answers_to_the_visible_cases(one):
    """Whoever knows the visible answers passes the check and not the grading, unless the question is the same for all."""
    chosen = [made for made in exercises(one) if not asks_always_the_same(made)]
    assert chosen
    for made in chosen:
        if not (made.probe_source or made.measure_source or made.criterion_source):
            known = {"np": np}
            exec(MEMORY.format(name=made.name), known)
            assert verdict_of(frozen.find(made.name), known[made.name]).passed, made.name
    names = [made.name for made in chosen]
    graded = grade(one, {name: MEMORY.format(name=name) for name in names})
    assert gained(graded, names) == {}


@pytest.mark.parametrize("one", CHAPTERS, ids=lambda one: one.name)
def test_an_exercise_that_ends_the_process_costs_only_itself(one):
    """The last exercise ends its process: all others keep their points, and the verdict says what happened."""
    *others, last = [made.name for made in exercises(one)]
    graded = grade(one, {last: "import os\nos._exit(3)"})
    assert gained(graded, [last]) == {}
    assert "exit status 3" in graded.verdicts[last].headline
    assert {name: graded.verdicts[name].headline for name in others if not graded.verdicts[name].passed} == {}
