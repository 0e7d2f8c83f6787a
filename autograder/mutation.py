"""Small wrong programs made from right ones: one change to the syntax tree each, labelled with the kind of mistake it is."""

from __future__ import annotations

import ast
import copy
import inspect
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

#: Which classes of the algebraic diagnosis would be right for a kind of change; kinds that are not listed have none.
EXPECTED = {
    "sign": {"sign", "factor"},
    "transpose": {"transpose"},
    "mean for sum": {"factor", "missing sum"},
    "constant": {"factor", "offset"},
    "dropped factor": {"factor", "missing sum"},
    "dropped term": {"missing term", "offset", "overflow"},
    "dropped shift": {"overflow", "missing term"},
    "axis": {"wrong axis", "missing sum", "doubled sum", "transpose"},
    "accumulation": {"overwritten", "only one step", "missing term"},
}

_BINARY: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}
_COMPARE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
}
_NAMES = {
    "sum": ("mean", "mean for sum"),
    "mean": ("sum", "mean for sum"),
    "max": ("min", "operator"),
    "min": ("max", "operator"),
    "maximum": ("minimum", "operator"),
    "minimum": ("maximum", "operator"),
    "argmax": ("argmin", "operator"),
    "exp": ("expm1", "operator"),
    "log": ("log1p", "operator"),
    "zeros": ("ones", "constant"),
    "ones": ("zeros", "constant"),
    "zeros_like": ("ones_like", "constant"),
    "ones_like": ("zeros_like", "constant"),
    "tril": ("triu", "operator"),
}


@dataclass(frozen=True)
class Mutant:
    """One changed program: its kind, the statement before and after, and the whole source."""

    kind: str
    before: str
    after: str
    source: str

    @property
    def change(self) -> str:
        """The change in one line, which identifies it in the list of equivalent mutants."""
        return f"{self.before} → {self.after}"


def mutants_of(reference: Callable[..., Any]) -> list[Mutant]:
    """All single changes of a function or class, without duplicates."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(reference)))
    found: dict[str, Mutant] = {}
    original = ast.unparse(tree)
    for statement_path, kind, changed in _changes(tree):
        source = ast.unparse(ast.fix_missing_locations(changed))
        if source != original and source not in found:
            before, after = _statement(tree, statement_path), _statement(changed, statement_path)
            found[source] = Mutant(kind, before, after, source)
    return list(found.values())


Path = tuple[tuple[str, int | None], ...]


def _changes(tree: ast.Module) -> Iterator[tuple[Path, str, ast.Module]]:
    for path, node in _walk(tree, ()):
        for kind, make in _mutations(node):
            changed = copy.deepcopy(tree)
            target = _at(changed, path)
            result = make(target)
            if result is None:
                continue
            if result is not target:
                _put(changed, path, result)
            yield path, kind, changed


def _walk(node: ast.AST, path: Path) -> Iterator[tuple[Path, ast.AST]]:
    """Every node that stands for behaviour: no docstrings, annotations, error messages or decorators."""
    if isinstance(node, ast.Raise) or _is_docstring(node):
        return
    yield path, node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "type_comment"):
            continue
        if isinstance(value, ast.AST):
            if isinstance(value, ast.arguments):
                continue
            yield from _walk(value, (*path, (name, None)))
        elif isinstance(value, list):
            for index, entry in enumerate(value):
                if isinstance(entry, ast.AST):
                    yield from _walk(entry, (*path, (name, index)))


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _mutations(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], ast.AST | None]]]:
    if isinstance(node, ast.BinOp):
        swap = _BINARY.get(type(node.op))
        if swap is not None:
            kind = "sign" if swap in (ast.Add, ast.Sub) else "operator"
            yield kind, partial(_operator, new=swap)
        if isinstance(node.op, (ast.Add, ast.Sub)):
            shift = isinstance(node.op, ast.Sub) and any(
                isinstance(c, ast.Attribute) and c.attr == "max" for c in ast.walk(node.right)
            )
            yield ("dropped shift" if shift else "dropped term"), lambda n: n.left
            if isinstance(node.op, ast.Add):
                yield "dropped term", lambda n: n.right
        if isinstance(node.op, (ast.Mult, ast.Div)):
            yield "dropped factor", lambda n: n.left
            if isinstance(node.op, ast.Mult):
                yield "dropped factor", lambda n: n.right
        if isinstance(node.op, ast.MatMult):
            yield "transpose", lambda n: _set(n, left=n.right, right=n.left)
            yield "transpose", lambda n: _set(n, right=_transposed(n.right))
            yield "transpose", lambda n: _set(n, left=_transposed(n.left))
        if isinstance(node.op, ast.Pow):
            yield "operator", lambda n: n.left
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.Not)):
        yield "sign", lambda n: n.operand
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", lambda n: n.value
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
        yield "comparison", lambda n: _set(n, ops=[_COMPARE[type(n.ops[0])]()])
    elif isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "operator", lambda n: _set(n, op=other())
    elif isinstance(node, ast.Constant):
        yield from _constants(node)
    elif isinstance(node, ast.Call):
        yield from _calls(node)
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Add, ast.Sub)):
        yield "accumulation", lambda n: ast.Assign(targets=[n.target], value=n.value, lineno=n.lineno)
        swap = _BINARY[type(node.op)]
        yield "sign", partial(_operator, new=swap)
        yield "stale value", lambda n: ast.Pass()
    elif isinstance(node, ast.Assign) and _updates_itself(node):
        yield "stale value", lambda n: ast.Pass()
    elif isinstance(node, ast.Return) and node.value is not None:
        if isinstance(node.value, ast.Tuple):
            for index in range(len(node.value.elts)):
                yield "sign", partial(_negated_element, index=index)
        else:
            yield "sign", lambda n: _set(n, value=ast.UnaryOp(ast.USub(), n.value))
    elif isinstance(node, ast.Slice):
        yield from _slices(node)


def _updates_itself(node: ast.Assign) -> bool:
    """Whether an assignment replaces values that it reads: leaving it out keeps the old ones."""
    written = {name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return bool(written & {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)})


def _constants(node: ast.Constant) -> Iterator[tuple[str, Callable[[Any], ast.AST | None]]]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", lambda n: _set(n, value=not n.value)
    elif isinstance(value, int):
        yield "off by one", lambda n: _set(n, value=n.value + 1)
        yield "off by one", lambda n: _set(n, value=n.value - 1)
    elif isinstance(value, float):
        yield "constant", lambda n: _set(n, value=2 * n.value if n.value else 1.0)
        yield "sign", lambda n: _set(n, value=-n.value) if n.value else None


def _calls(node: ast.Call) -> Iterator[tuple[str, Callable[[Any], ast.AST | None]]]:
    if isinstance(node.func, ast.Attribute) and node.func.attr in _NAMES:
        other, kind = _NAMES[node.func.attr]
        yield kind, partial(_renamed, name=other)
    if len(node.args) == 2 and ast.dump(node.args[0]) != ast.dump(node.args[1]):
        yield "swapped arguments", lambda n: _set(n, args=[n.args[1], n.args[0]])
    for index, keyword in enumerate(node.keywords):
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, int):
            yield "axis", partial(_axis, index=index)
        if keyword.arg == "keepdims":
            yield "axis", partial(_without_keyword, index=index)
    if isinstance(node.func, ast.Attribute) and node.func.attr in ("abs", "sqrt", "copy") and len(node.args) == 1:
        yield ("dropped factor" if node.func.attr == "sqrt" else "operator"), lambda n: n.args[0]


def _slices(node: ast.Slice) -> Iterator[tuple[str, Callable[[Any], ast.AST | None]]]:
    if node.lower is None and node.upper is not None:
        yield "off by one", lambda n: _set(n, lower=ast.Constant(1))
    if node.lower is not None and node.upper is None:
        yield "off by one", lambda n: _set(n, lower=None)


def _operator(node: Any, new: type[ast.operator]) -> ast.AST:
    return _set(node, op=new())


def _renamed(node: Any, name: str) -> ast.AST:
    return _set(node, func=ast.Attribute(node.func.value, name, ast.Load()))


def _without_keyword(node: Any, index: int) -> ast.AST:
    return _set(node, keywords=[k for i, k in enumerate(node.keywords) if i != index])


def _axis(node: Any, index: int) -> ast.AST:
    keyword = node.keywords[index]
    value = keyword.value.value
    keyword.value = ast.Constant(1 - value if value in (0, 1) else 0)
    changed: ast.AST = node
    return changed


def _negated_element(node: Any, index: int) -> ast.AST:
    node.value.elts[index] = ast.UnaryOp(ast.USub(), node.value.elts[index])
    changed: ast.AST = node
    return changed


def _transposed(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _set(node: Any, **fields: Any) -> ast.AST:
    for name, value in fields.items():
        setattr(node, name, value)
    changed: ast.AST = node
    return changed


def _at(tree: ast.AST, path: Path) -> Any:
    node: Any = tree
    for name, index in path:
        node = getattr(node, name)
        node = node if index is None else node[index]
    return node


def _put(tree: ast.AST, path: Path, new: ast.AST) -> None:
    parent = _at(tree, path[:-1])
    name, index = path[-1]
    if index is None:
        setattr(parent, name, new)
    else:
        getattr(parent, name)[index] = new


def _statement(tree: ast.AST, path: Path) -> str:
    """The innermost statement around a node, its first line."""
    node: Any = tree
    found = ""
    for name, index in path:
        node = getattr(node, name)
        node = node if index is None else node[index]
        if isinstance(node, ast.stmt):
            found = ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()[0]
    return found
