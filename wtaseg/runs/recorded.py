"""Read a recorded ``config.py`` without executing it.

mmengine records a config as assignments of literals: constants, lists, tuples, dicts and calls of ``dict``. These are
read from the syntax tree. A file that holds anything else is code; it is executed only where the user trusts it.
"""

import ast
from pathlib import Path
from typing import Any

# how mmengine spells these floats
NUMBERS = {'inf': float('inf'), 'nan': float('nan')}


class NotLiteral(ValueError):
    """A recorded config holds something other than literals, and was not executed."""


def read_config(path: Path, trust: bool = False) -> dict[str, Any]:
    """The values of a recorded config.

    Args:
        path: ``<time>/vis_data/config.py`` of a run.
        trust: execute a file that is not made of literals alone.

    Raises:
        FileNotFoundError: there is none.
        NotLiteral: it is not made of literals alone, and ``trust`` is False.
    """
    try:
        return parse(path.read_text(encoding='utf-8'))
    except (SyntaxError, NotLiteral) as error:
        if trust:
            return _execute(path)
        line = getattr(error, 'lineno', None) or error.args[0]
        raise NotLiteral(
            f'{path}:{line}: not a literal, so the config was not read; --trust executes it as Python'
        ) from None


def parse(source: str) -> dict[str, Any]:
    """The assignments of a source text.

    Raises:
        NotLiteral: a statement is not ``name = literal``; its argument is the number of the line.
        SyntaxError: the text is not Python.
    """
    values = {}
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = _literal(value)
            case ast.Expr(value=ast.Constant(value=str())):
                pass
            case _:
                raise NotLiteral(statement.lineno)
    return values


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in NUMBERS:
            return NUMBERS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _literal(operand)
            if isinstance(value, (int, float)):
                return -value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.Set(elts=items) if all(isinstance(item, ast.Constant) for item in items):
            return {_literal(item) for item in items}
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
            return {_literal(key): _literal(value) for key, value in zip(keys, values)}
        case ast.Call(func=ast.Name(id='dict'), args=args, keywords=keywords) if len(args) <= 1:
            content = _literal(args[0]) if args else {}
            if isinstance(content, dict) and all(keyword.arg for keyword in keywords):
                return content | {keyword.arg: _literal(keyword.value) for keyword in keywords}
    raise NotLiteral(node.lineno)


def _execute(path: Path) -> dict[str, Any]:
    from mmengine.config import Config

    return Config.fromfile(path, import_custom_modules=False).to_dict()
