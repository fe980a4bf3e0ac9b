"""The package contains nothing that could run what a checkpoint brings along."""

from __future__ import annotations

import ast
from pathlib import Path

import panpipe.errors

PACKAGE = Path(panpipe.errors.__file__).parent
FORBIDDEN_MODULES = {"cloudpickle", "code", "dill", "jsonpickle", "joblib", "marshal", "pickle", "runpy", "shelve"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
IMPORTS_FROM_OWN_TABLES = {  # names of ours, imported late
    "__init__.py",
    "cli/main.py",
    "pipelines/__init__.py",
    "pipelines/tasks.py",
    "training/__init__.py",
    "training/loggers.py",
}
READS_YAML_AS_TEXT = "data/card.py"  # by BaseLoader, which makes texts, lists and dictionaries only
FORBIDDEN_METHODS = {("torch", "load"), ("yaml", "load"), ("np", "load"), ("numpy", "load")}


def findings(source: str) -> list[str]:
    """What in a module's source could run code from data."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            is_ours = isinstance(node, ast.ImportFrom) and node.level > 0
            found += [name for name in names if not is_ours and name.split(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
                found.append(function.id)
            if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                called = function.value.id, function.attr
                is_open_import = called == ("importlib", "import_module") and not _is_fixed(node.args)
                if called in FORBIDDEN_METHODS or is_open_import:
                    found.append(".".join(called))
    return found


def _is_fixed(arguments: list[ast.expr]) -> bool:
    """A module named by a literal."""
    return isinstance(arguments[0], ast.Constant)


def test_the_scan_finds_what_it_looks_for() -> None:
    for source in (
        "import pickle",
        "from pickle import loads",
        "import joblib.numpy_pickle",
        "eval('1')",
        "exec(x)",
        "torch.load(f)",
        "yaml.load(f)",
        "importlib.import_module(config['auto_map'])",
    ):
        assert findings(source), source
    for source in (
        "model.eval()",
        "re.compile('x')",
        "from .pickle import x",
        "importlib.import_module('.torch', 'p')",
    ):
        assert not findings(source), source


def test_the_package_runs_nothing_that_it_reads() -> None:
    modules = sorted(PACKAGE.rglob("*.py"))
    assert len(modules) > 10
    for path in modules:
        found = findings(path.read_text("utf-8"))
        if path.relative_to(PACKAGE).as_posix() in IMPORTS_FROM_OWN_TABLES:
            found.remove("importlib.import_module")
        if path.relative_to(PACKAGE).as_posix() == READS_YAML_AS_TEXT:
            found.remove("yaml.load")
        assert found == [], path
