"""Which cells grading can do without: the course's own that the student left as they were and that nothing else depends on.

They draw figures and print tables for the reader, who has seen them. What a student wrote or changed always runs.
"""

from __future__ import annotations

import ast
import functools
import re
import symtable
from collections.abc import Iterable
from dataclasses import dataclass, field

from nbformat import NotebookNode

from autograder.cells import LONG_RUN

#: Whoever uses one of these may use any name without writing it down.
_REACHES_ANYTHING = {"globals", "locals", "vars", "eval", "exec", "get_ipython", "__import__", "importlib", "inspect"}
#: Methods and functions of libraries that change what they belong to or are given, also inside an expression.
_CHANGING = {
    *(
        "append",
        "extend",
        "insert",
        "pop",
        "remove",
        "clear",
        "update",
        "setdefault",
        "add",
        "discard",
        "sort",
        "reverse",
    ),
    *("seed", "seterr", "shuffle", "put", "fill", "copyto", "at", "step", "backward", "zero_grad", "simplefilter"),
    *("filterwarnings", "manual_seed", "set_printoptions"),
}
#: So may a text in which one of these stands.
_REACHES_IN_TEXT = re.compile(
    r"__main__|__globals__|__builtins__|__closure__|__code__|sys\.modules|_getframe|f_globals|tb_frame"
)
#: Reading larger code than this cell by cell takes longer than running all of it.
_MOST_CHARACTERS = 100_000
#: A call of these, or of a method of these, changes nothing that other cells depend on.
_FOR_SHOW = {"print", "plt", "display"}


@dataclass
class Names:
    """What a cell does with global names."""

    reads: set[str] = field(default_factory=set)  # before it binds them itself
    reads_later: set[str] = field(default_factory=set)  # its functions do, whenever they are called
    binds: set[str] = field(default_factory=set)  # on every way through it
    changes: set[str] = field(default_factory=set)  # binds on some way, or visibly changes the object of


def unneeded(notebook: NotebookNode, template: NotebookNode, asked: Iterable[str]) -> set[int]:
    """Positions of cells that need not run.

    Args:
        notebook: a rebuilt submission.
        template: the released notebook.
        asked: names of functions that will be called.
    """
    given = {cell.source.strip() for cell in template.cells if cell.cell_type == "code"}
    theirs = "".join(
        cell.source for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip() not in given
    )
    if len(theirs) > _MOST_CHARACTERS or _REACHES_IN_TEXT.search(theirs):
        return set()
    cells: list[tuple[int, bool, Names]] = []
    for position, cell in enumerate(notebook.cells):
        if cell.cell_type != "code" or not cell.source.strip() or LONG_RUN in cell.metadata.get("tags", []):
            continue
        own = cell.source.strip() in given
        names = names_in_given(cell.source) if own else names_in(cell.source)
        if names is None or (not own and names.reads & _REACHES_ANYTHING):
            return set()  # who knows what it uses
        cells.append((position, own and not cell.metadata.get("nbgrader", {}).get("grade_id"), names))
    found = {position for position, may_go, _ in cells if may_go}
    while True:  # a cell that has to run may bring functions along, which need others
        always = set(asked).union(*(names.reads_later for position, _, names in cells if position not in found))
        kept: set[int] = set()
        live = set(always)
        for position, _, names in reversed(cells):
            if position in found and not names.changes & live:
                continue
            kept.add(position)
            live = (live - names.binds) | names.reads | always
        if not kept & found:
            return found
        found -= kept


def names_in(source: str) -> Names | None:
    """What a cell does with names; None when it is no plain Python (a magic, say)."""
    try:
        reader = _Reader()
        reader.visit(ast.parse(source))
        everywhere, later = _global_names(symtable.symtable(source, "<cell>", "exec"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    reader.names.reads |= everywhere
    reader.names.reads_later |= later
    return reader.names


def _global_names(table: symtable.SymbolTable) -> tuple[set[str], set[str]]:
    """Global names that a cell may read, and those among them that its functions and classes may, by Python's own scopes."""
    now = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    later: set[str] = set()
    waiting = list(table.get_children())
    while waiting:
        inner = waiting.pop()
        # A name in a class's body that is bound there may still be read from outside before.
        names = (s for s in inner.get_symbols() if s.is_referenced() and (s.is_global() or inner.get_type() == "class"))
        later |= {symbol.get_name() for symbol in names}
        waiting += inner.get_children()
    return now | later, later


names_in_given = functools.lru_cache(maxsize=500)(names_in)  # there are few, and everyone has them


class _Reader(ast.NodeVisitor):
    """Follows a cell in the order of its execution."""

    def __init__(self) -> None:
        self.names = Names()

    def visit_Name(self, node: ast.Name) -> None:
        if not isinstance(node.ctx, ast.Load):
            self._bind(node.id)
        elif node.id not in self.names.binds:
            self.names.reads.add(node.id)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._visit(node.value, *node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._visit(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.names.binds:
            self.names.reads.add(node.target.id)
        self._visit(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._visit(node.value, node.target)

    def visit_Attribute(self, node: ast.Attribute | ast.Subscript) -> None:
        if not isinstance(node.ctx, ast.Load):
            self.names.changes.add(_base(node))
        self.generic_visit(node)

    visit_Subscript = visit_Attribute

    def visit_Expr(self, node: ast.Expr) -> None:
        call = node.value
        if isinstance(call, ast.Call) and _base(call.func) not in _FOR_SHOW:
            # np.random.seed(0), parts.append(x), train(network)
            given = [part for part in call.args if not isinstance(part, ast.Call)]  # what a call makes is new
            self.names.changes.update(_base(part) for part in (call.func, *given))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        base = _base(node.func)
        if base not in _FOR_SHOW and (isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGING):
            self.names.changes.update(_base(part) for part in (node.func, *node.args) if not isinstance(part, ast.Call))
        self.generic_visit(node)

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            self._bind((alias.asname or alias.name).partition(".")[0])

    visit_ImportFrom = visit_Import

    def visit_If(self, node: ast.If) -> None:
        self._visit(node.test)
        self._perhaps(node.body)
        self._perhaps(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit_If(node)  # type: ignore[arg-type]

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._visit(node.iter)
        self._perhaps([node.target, *node.body])
        self._perhaps(node.orelse)

    visit_AsyncFor = visit_For

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self._perhaps(node.body)
        for handler in node.handlers:
            self._perhaps([handler])
        self._perhaps(node.orelse)
        self._perhaps(node.finalbody)

    visit_TryStar = visit_Try

    def visit_Match(self, node: ast.Match) -> None:
        self._visit(node.subject)
        for case in node.cases:
            self._perhaps([case])

    def visit_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> None:
        before = set(self.names.binds), set(self.names.changes)
        for part in node.generators:
            self._visit(part.iter, part.target, *part.ifs)
        self._visit(*([node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]))
        self.names.binds, self.names.changes = before

    visit_SetComp = visit_GeneratorExp = visit_DictComp = visit_ListComp

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> None:
        self.names.reads_later |= self._function(node)
        self._bind(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def visit_Lambda(self, node: ast.AST) -> None:  # mostly used on the spot
        self._function(node)

    def _function(self, node: ast.AST) -> set[str]:
        reads = _global_reads(node)
        self.names.reads |= reads - self.names.binds
        return reads

    def _bind(self, name: str) -> None:
        self.names.binds.add(name)
        self.names.changes.add(name)

    def _visit(self, *nodes: ast.AST) -> None:
        for node in nodes:
            self.visit(node)

    def _perhaps(self, nodes: Iterable[ast.AST]) -> None:
        """A part that need not be executed: what it binds is not bound for sure afterwards."""
        before = set(self.names.binds)
        self._visit(*nodes)
        self.names.binds = before


def _global_reads(function: ast.AST) -> set[str]:
    """Names that a function or class reads and nowhere binds; a little too many do no harm."""
    read: set[str] = set()
    bound: set[str] = set()
    declared: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (read if isinstance(node.ctx, ast.Load) else bound).add(node.id)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            declared.update(node.names)
    return (read - bound) | (read & declared)


def _base(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""
