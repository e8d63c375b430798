"""The structure of the three packages: who imports whom, sizes, documentation."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ('mmseg', 'augment', 'wtaseg')
MAX_FILE_LINES, MAX_FUNCTION_LINES = 300, 60
#: Methods with fewer statements need no docstring; a module's ``forward`` is described by its class.
SHORT_METHOD, DESCRIBED_BY_CLASS = 3, ('forward',)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob('*.py'))
#: Scripts that are run by path put the root of the clone in the place of their own folder.
SHIMS = [*ROOT.glob('tools/**/*.py'), *ROOT.glob('bash/*.py'), *(ROOT / 'augment').glob('*.py')]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def imported_modules(path: Path) -> Iterator[str]:
    """Dotted names of everything a file imports, in functions too."""
    package = path.relative_to(ROOT).parent.parts
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join((*base, *filter(None, [node.module])))
            yield from (f'{module}.{alias.name}' for alias in node.names)


def part_of(module: str) -> str:
    """The package and its direct part: ``wtaseg.report.tables.markdown`` is in ``wtaseg.report``."""
    return '.'.join(module.split('.')[:2])


@pytest.mark.parametrize(
    ('package', 'others'), [('mmseg', {'augment', 'wtaseg'}), ('augment', {'mmseg', 'wtaseg'})]
)
def test_only_wtaseg_imports_the_others(package, others):
    offenders = [
        f'{name_of(path)}: {module}'
        for path in (ROOT / package).rglob('*.py')
        for module in imported_modules(path)
        if module.split('.')[0] in others
    ]
    assert offenders == []


@pytest.mark.parametrize('package', ['augment', 'wtaseg'])
def test_no_import_cycle_between_parts(package):
    parts: dict[str, set[str]] = {}
    for path in (ROOT / package).rglob('*.py'):
        part = part_of('.'.join(path.relative_to(ROOT).with_suffix('').parts))
        modules = (module for module in imported_modules(path) if module.startswith(f'{package}.'))
        parts.setdefault(part, set()).update(part_of(module) for module in modules)
    for part, imported in parts.items():
        imported.discard(part)
    try:
        tuple(TopologicalSorter(parts).static_order())
    except CycleError as error:
        pytest.fail(' imports '.join(reversed(error.args[1])))


def edits_path(node: ast.AST) -> bool:
    """Whether a statement or call changes ``sys.path``."""
    targets = [*getattr(node, 'targets', []), *filter(None, [getattr(node, 'target', None)])]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        targets = [node.func.value] if node.func.attr in ('append', 'insert', 'extend', 'remove') else []
    targets = [target.value if isinstance(target, ast.Subscript) else target for target in targets]
    return any(ast.unparse(target) == 'sys.path' for target in targets)


def test_only_shims_edit_the_module_search_path():
    paths = {*FILES, *ROOT.glob('tests/**/*.py'), *ROOT.glob('configs/**/*.py')} - {*SHIMS}
    offenders = [name_of(path) for path in sorted(paths) if any(map(edits_path, ast.walk(tree_of(path))))]
    assert offenders == []


def test_no_file_is_long():
    scripts = ROOT.glob('wtaseg/**/templates/*')
    lines = {name_of(path): len(path.read_text(encoding='utf-8').splitlines()) for path in (*FILES, *scripts)}
    assert {name: count for name, count in lines.items() if count > MAX_FILE_LINES} == {}


def test_no_function_is_long():
    lines = {
        f'{name_of(path)}:{node.lineno} {node.name}': node.end_lineno - node.lineno + 1
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, FUNCTIONS)
    }
    assert {name: count for name, count in lines.items() if count > MAX_FUNCTION_LINES} == {}


def undocumented(path: Path) -> Iterator[str]:
    """Public functions and classes of a module, and public methods of more than a few statements."""
    for node in tree_of(path).body:
        if not isinstance(node, (*FUNCTIONS, ast.ClassDef)) or node.name.startswith('_'):
            continue
        if ast.get_docstring(node) is None:
            yield node.name
        for method in node.body if isinstance(node, ast.ClassDef) else []:
            public = isinstance(method, FUNCTIONS) and not method.name.startswith('_')
            public = public and method.name not in DESCRIBED_BY_CLASS
            if public and ast.get_docstring(method) is None and len(method.body) >= SHORT_METHOD:
                yield f'{node.name}.{method.name}'


def test_public_names_are_documented():
    modules = [name_of(path) for path in FILES if ast.get_docstring(tree_of(path)) is None]
    assert modules == []
    assert [f'{name_of(path)}: {name}' for path in FILES for name in undocumented(path)] == []
