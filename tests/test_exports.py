"""What a module lists in `__all__` is in it, once; and what the packages give to users says what it is."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("runtime", "balancer", "transports", "app")
PUBLIC = (  # what users import from
    *("shoal.runtime", "shoal.runtime.testing"),
    *("shoal.transports.interface", "shoal.transports.errors", "shoal.transports.registry"),
)


def listed(tree: ast.Module) -> list[str]:
    """The names of `__all__`; none where there is none."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return []


def defined(body: list[ast.stmt]) -> set[str]:
    """The names that a module's statements give to something, those under an `if` or `try` included."""
    names: set[str] = set()
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names |= {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}
            case ast.If() | ast.Try():
                inner = [*node.body, *node.orelse]
                if isinstance(node, ast.Try):
                    inner += [statement for handler in node.handlers for statement in handler.body]
                names |= defined(inner)
    return names


@pytest.mark.parametrize("folder", FOLDERS)
def test_what_a_module_lists_is_in_it_and_listed_once(folder: str) -> None:
    seen = 0
    for path in sorted((ROOT / folder).rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        names = listed(tree)
        seen += bool(names)
        assert len(names) == len(set(names)), f"{path.relative_to(ROOT)} lists a name twice"
        inside = defined(tree.body)
        if "__getattr__" not in inside:  # else it finds its names when they are asked for
            assert set(names) <= inside, f"{path.relative_to(ROOT)} lists what it has not: {set(names) - inside}"
    assert seen, "there is something to list"


@pytest.mark.parametrize("name", PUBLIC)
def test_what_a_package_gives_to_users_says_what_it_is(name: str) -> None:
    package = importlib.import_module(name)
    for exported in package.__all__:
        value = getattr(package, exported)
        if inspect.isclass(value) or inspect.isroutine(value):
            assert inspect.getdoc(value), f"{name}.{exported} has no docstring"
