"""How an answer came about: calls of a library that the exercise does without, gradients by finite differences.

None of this changes a score. What is found is a sentence for the instructor, who decides; none is written for an honest
program of the course's own (reference, variant). Two looks complement each other: at the source, on this side, and at one more
call of the smallest case, which is observed next to the student's code and therefore finds what hides behind ``getattr`` or
``exec``. Student code can switch the observer off; that is a sentence too. A difference quotient written out without a function
of its own and without a visible step is not found.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np

from autograder.exercise import Exercise, Question, Sheet, source_of
from autograder.sandbox.calling import Answer, call
from autograder.sandbox.wire import Seed, Tensor

#: What an exercise does without when its reference does without torch, unless its definition names something else.
FINISHED_PARTS = (
    "torch.autograd",
    "torch.nn",
    "torch._C._nn",
    "torch.optim",
    "torch.func",
    "scipy",
    "sklearn",
    "jax",
    "autograd",
)
#: Parts of those that compute nothing.
HARMLESS = ("torch.autograd.grad_mode", "torch.autograd.profiler", "torch.autograd.function")
#: A step of numerical differentiation is at most this large.
LARGEST_STEP = 1e-2

_ASKS_FOR_A_FORMULA: dict[Exercise, bool] = {}

Ask = Callable[[dict[str, Any], str], Answer]


def flags(made: Exercise, sheet: Sheet, source: str, ask: Ask) -> tuple[str, ...]:
    """Sentences about how a solution that passed came to its answers; empty for an ordinary one.

    Args:
        made: the exercise.
        sheet: its questions.
        source: the student's solution cell.
        ask: calls the student's function with inputs, through the source of a probe.
    """
    names = banned(made)
    if made not in _ASKS_FOR_A_FORMULA:
        _ASKS_FOR_A_FORMULA[made] = _asks_for_a_formula(made, sheet)
    numerical = _ASKS_FOR_A_FORMULA[made]
    found = list(_in_source(source, names, numerical))
    question = _smallest(sheet)
    answer = ask(question.inputs, observer(sheet.probe))
    seen = answer.value if answer.status == "returned" and isinstance(answer.value, dict) else {}
    found += _in_calls(seen, names)
    if numerical:
        found += _in_steps(seen, question, made)
    return tuple(dict.fromkeys(found))[:6]


def banned(made: Exercise) -> tuple[str, ...]:
    """Modules whose use is flagged: what the definition names, else the finished parts that its own programs do without.

    An exercise with a variant in torch counts torch among the honest ways.
    """
    if made.without is not None:
        return made.without
    values = getattr(made.reference, "__globals__", {}).values()
    uses_torch = any(isinstance(value, ModuleType) and value.__name__.startswith("torch") for value in values)
    uses_torch = uses_torch or any("torch" in source_of(variant) for variant in made.variants)
    return tuple(name for name in FINISHED_PARTS if not (uses_torch and name.startswith("torch")))


# ---- the source ------------------------------------------------------------------------------------------------------
def _in_source(source: str, names: tuple[str, ...], numerical: bool) -> Iterator[str]:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        for used in _named(node):
            if _below(used, names):
                yield f"The source names `{used[:80]}`, which this exercise does without."
        if names and isinstance(node, ast.Call):
            called = _dotted(node.func)
            if called in ("exec", "eval", "__import__", "importlib.import_module", "import_module"):
                yield f"The source uses `{called}`, behind which a call can hide."
    if numerical and _divides_by_a_step(tree):
        yield "The source divides by a small step, as finite differences do; the exercise asks for the derivative's formula."


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Attribute):
        yield _dotted(node)


def _dotted(node: ast.AST) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _below(used: str, names: tuple[str, ...]) -> bool:
    def within(prefix: str) -> bool:
        return used == prefix or used.startswith(prefix + ".")

    return any(map(within, names)) and not any(map(within, HARMLESS))


def _divides_by_a_step(tree: ast.AST) -> bool:
    """Whether something is divided by h or by a multiple of h, where h is a small constant; ``x / (s + eps)`` is not that."""
    steps = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None and _small(node.value)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            defaults = list(zip(positional[len(positional) - len(node.defaults) :], node.defaults, strict=True))
            defaults += [(a, d) for a, d in zip(node.kwonlyargs, node.kw_defaults, strict=True) if d is not None]
            steps |= {argument.arg for argument, default in defaults if _small(default)}

    def is_step(node: ast.AST) -> bool:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return (is_step(node.left) and isinstance(node.right, ast.Constant)) or (
                is_step(node.right) and isinstance(node.left, ast.Constant)
            )
        return (isinstance(node, ast.Name) and node.id in steps) or _small(node)

    return any(
        isinstance(node, (ast.BinOp, ast.AugAssign))
        and isinstance(node.op, ast.Div)
        and is_step(node.right if isinstance(node, ast.BinOp) else node.value)
        for node in ast.walk(tree)
    )


def _small(node: ast.AST) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):  # 10**-6, 2.0**-20
        base, exponent = node.left, node.right
        if isinstance(base, ast.Constant) and isinstance(exponent, ast.UnaryOp) and isinstance(exponent.op, ast.USub):
            power = exponent.operand
            numbers = isinstance(base.value, (int, float)) and isinstance(power, ast.Constant)
            if numbers and isinstance(power.value, (int, float)):  # type: ignore[attr-defined]
                return base.value >= 2 and power.value * math.log10(base.value) >= 2  # type: ignore
        return False
    return isinstance(node, ast.Constant) and type(node.value) is float and 0 < node.value <= LARGEST_STEP


# ---- one observed call -----------------------------------------------------------------------------------------------
def observer(probe: str | None) -> str:
    """Source of a probe that makes the call (through ``probe``, when the exercise has one) and says what was called in it.

    It answers ``{"called": [module.function, …], "nudged": {input: entries}, "watched": bool}``; ``nudged`` counts the
    entries of an input that were shifted, one at a time, in what the student's own functions were given.
    """
    return _OBSERVER.replace("PROBE_SOURCE", repr(probe or ""))


_OBSERVER = """
def observed(student, **inputs):
    import sys

    from autograder.sandbox.calling import load_source

    probe = PROBE_SOURCE
    ask = load_source(probe) if probe else None

    def arrays(value, name, depth=0):
        if isinstance(value, np.ndarray):
            if value.dtype.kind in "fc" and 1 < value.size <= 4096:
                yield name, value.reshape(-1)
        elif depth < 4 and isinstance(value, (list, tuple)):
            for index, entry in enumerate(value[:64]):
                yield from arrays(entry, f"{name}[{index}]", depth + 1)
        elif depth < 4 and isinstance(value, dict):
            for key, entry in list(value.items())[:64]:
                yield from arrays(entry, f"{name}[{key!r}]", depth + 1)

    first = {name: array.copy() for key, value in inputs.items() for name, array in arrays(value, key)}
    nudged = {name: set() for name in first}
    called, own_calls, is_own = set(), [0], {}

    def own(filename):
        if filename not in is_own:
            library = filename.startswith((sys.prefix, sys.base_prefix)) or "site-packages" in filename
            internal = filename.startswith("<") and not filename.startswith(("<ipython", "<string", "<cell"))
            ours = filename.replace("\\\\", "/").endswith("autograder/sandbox/calling.py")
            is_own[filename] = not (library or internal or ours)
        return is_own[filename]

    def nudges(value):
        for _, array in arrays(value, ""):
            for name, start in first.items():
                if array.size == start.size:
                    moved = np.flatnonzero(array - start)
                    if moved.size == 1:
                        nudged[name].add(int(moved[0]))

    importing = [0]  # an import runs much of a library without using it

    def watch(frame, event, arg):  # the interpreter does not observe its observer
        try:
            code = frame.f_code
            if event in ("call", "return") and code.co_name == "<module>" and not own(code.co_filename):
                importing[0] += 1 if event == "call" else -1
            elif importing[0] > 0:
                return
            elif event == "call" and own(code.co_filename):
                own_calls[0] += 1
                if own_calls[0] <= 20_000:
                    for value in list(frame.f_locals.values()):
                        nudges(value)
            elif event == "call" and len(called) < 3_000:
                called.add(f"{frame.f_globals.get('__name__')}.{code.co_name}")
            elif event == "c_call" and len(called) < 3_000:
                called.add(f"{getattr(arg, '__module__', None)}.{getattr(arg, '__name__', '')}")
        except Exception:
            pass

    sys.setprofile(watch)
    try:
        ask(student, **inputs) if ask else student(**inputs)
    except Exception:
        pass
    finally:
        watched = sys.getprofile() is watch
        sys.setprofile(None)
    return {
        "called": sorted(called),
        "nudged": {name: len(entries) for name, entries in nudged.items() if entries},
        "watched": watched,
    }
"""


def _in_calls(seen: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    called = seen.get("called")
    texts = [name for name in called if isinstance(name, str)] if isinstance(called, list) else []
    used = [name for name in texts if _below(name, names)]
    used.sort(key=lambda name: ("<" in name or "._" in name, name))  # a function with a public name says more
    if used:
        more = f" and {len(used) - 1} more functions" if len(used) > 1 else ""
        yield f"The call used `{used[0][:80]}`{more}, which this exercise does without."
    if seen.get("watched") is False:
        yield "The code switched off the observation of its calls."


def _in_steps(seen: dict[str, Any], question: Question, made: Exercise) -> Iterator[str]:
    nudged = seen.get("nudged")
    if made.gradient is None or not isinstance(nudged, dict):
        return
    sizes = dict(_sizes({name: question.inputs[name] for name in made.gradient.wrt if name in question.inputs}))
    for name, size in sizes.items():
        if size > 1 and nudged.get(name) == size:
            yield f"Each of the {size} entries of `{name}` was shifted alone, as finite differences do; a formula was asked for."


def _asks_for_a_formula(made: Exercise, sheet: Sheet) -> bool:
    """Whether the exercise asks for a formula where finite differences would do: its reference uses none itself."""
    if made.gradient is None:
        return False
    question = _smallest(sheet)
    seen = call(made.reference, question.inputs, observer(sheet.probe)).value
    try:
        steps = _divides_by_a_step(ast.parse(source_of(made.reference)))
    except (OSError, SyntaxError):
        steps = False
    return not steps and not any(_in_steps(seen if isinstance(seen, dict) else {}, question, made))


def _smallest(sheet: Sheet) -> Question:
    """The question with the smallest inputs among those that are answered with a value; more than one entry, where there is one."""
    good = [question for question in sheet.questions if question.promised is None] or list(sheet.questions)

    def size(question: Question) -> int:
        return sum(count for _, count in _sizes(question.inputs))

    roomy = [q for q in good if all(count > 1 for name, count in _sizes({k: q.inputs.get(k) for k in sheet.wrt}))]
    return min(roomy or good, key=size)


def _sizes(value: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, int]]:
    """Arrays in a value with their numbers of entries, named as the observer names them."""
    if isinstance(value, Tensor):
        value = value.array
    if isinstance(value, np.ndarray):
        yield name, int(value.size)
    elif isinstance(value, dict):
        for key, entry in value.items():
            yield from _sizes(entry, f"{name}[{key!r}]" if depth else str(key), depth + 1)
    elif isinstance(value, (list, tuple)):
        for index, entry in enumerate(value):
            yield from _sizes(entry, f"{name}[{index}]", depth + 1)
    elif not isinstance(value, Seed):
        yield name, 1
