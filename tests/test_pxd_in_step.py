"""Each twin says the same fields as its source; in compiled legs each core class is C.

A field that is in one file only works on one leg and fails on the other, and a
twin that Cython does not find is ignored without a word.
"""

import ast
import importlib
import os
import re
from pathlib import Path

import pytest

import shoal

ROOT = Path(__file__).resolve().parent.parent
TWINS = sorted(
    twin
    for room in ("runtime", "balancer", "transports", "app")
    for twin in (ROOT / room).glob("**/*.pxd")
    if twin.with_suffix(".py").exists()
)
CLASS = re.compile(r"^cdef class (\w+)(?:\((\w+)\))?:", re.MULTILINE)
FIELD = re.compile(r"^    cdef (?:public |readonly )?(?:[\w.]+ )(\w+)$", re.MULTILINE)
METHOD = re.compile(r"^    cp?def .*?(\w+)\(", re.MULTILINE)


def classes_of_twin(twin):
    """Class name to (fields, methods)."""
    pieces = CLASS.split(twin.read_text())[1:]
    return {
        name: (set(FIELD.findall(body)), set(METHOD.findall(body)))
        for name, body in zip(pieces[0::3], pieces[2::3], strict=True)
    }


def classes_of_source(source):
    """Class name to (slots, methods)."""
    found = {}
    for node in ast.parse(source.read_text()).body:
        if not isinstance(node, ast.ClassDef):
            continue
        slots = set()
        for statement in node.body:
            if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", "") == "__slots__":
                slots = set(ast.literal_eval(statement.value))
        found[node.name] = (slots, {s.name for s in node.body if isinstance(s, ast.FunctionDef)})
    return found


def test_there_are_twins():
    assert len(TWINS) >= 6


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: str(twin.relative_to(ROOT)))
def test_fields_of_the_twin_are_the_slots_of_the_source(twin):
    sources = classes_of_source(twin.with_suffix(".py"))
    for name, (fields, methods) in classes_of_twin(twin).items():
        slots, source_methods = sources[name]
        assert fields == slots, f"{name}: differ in {sorted(fields ^ slots)}"
        assert methods <= source_methods, f"{name}: no source for {sorted(methods - source_methods)}"


@pytest.mark.parametrize("twin", TWINS, ids=lambda twin: str(twin.relative_to(ROOT)))
def test_in_compiled_legs_each_core_class_is_an_extension_type(twin):
    module = importlib.import_module("shoal." + ".".join(twin.with_suffix("").relative_to(ROOT).parts))
    is_compiled = os.environ.get("SHOAL_LEG", "fast") != "pure"
    assert module.__file__.endswith(".py") != is_compiled
    for name, (_, methods) in classes_of_twin(twin).items():
        kind = getattr(module, name)
        # Slots of a Python class are member descriptors; an extension type has them too, but is not a heap type's.
        is_extension = hasattr(kind, "__pyx_vtable__") or (not methods and not kind.__flags__ & 1 << 9)
        assert is_extension == is_compiled, f"{name} is not what its twin says"


def test_the_compiled_package_carries_its_twins():
    package = Path(shoal.__file__).parent
    for twin in TWINS:
        assert (package / twin.relative_to(ROOT)).exists()
