"""Read the text of a config that is made of literals only, without executing it.

mmengine writes the settings of a run as such a text, into its work folder and into its checkpoints.
"""

import ast
from typing import Any

from mmengine.config import Config

# how mmengine spells these floats
_FLOATS = {'inf': float('inf'), 'nan': float('nan')}


class NotLiteralError(ValueError):
    """A text holds something other than ``name = literal``.

    Attributes:
        line: number of the line, from 1.
        code: what stands there, shortened.
    """

    def __init__(self, node: ast.AST) -> None:
        self.line, self.code = node.lineno, ast.unparse(node)[:80]
        super().__init__(f'line {self.line} is not a literal ({self.code})')


def parse_literals(text: str) -> dict[str, Any]:
    """The values of assignments such as ``lr = 0.1`` and ``model = dict(type='…', channels=[32, 64])``.

    Args:
        text: Python source. Constants, ``inf``, ``nan``, lists, tuples, sets, dicts and ``dict(…)`` are read.

    Raises:
        NotLiteralError: it holds anything else: an import, a call, an expression.
        SyntaxError: it is not Python.
    """
    values = {}
    for statement in ast.parse(text).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                values[name] = _literal(value)
            case ast.Expr(value=ast.Constant(value=str())):
                pass  # a docstring
            case _:
                raise NotLiteralError(statement)
    return values


def read_config_text(text: str, source: str) -> Config:
    """The config that a text of literals describes, see :func:`parse_literals`.

    Args:
        text: Python source.
        source: where the text comes from, for errors.

    Raises:
        ValueError: it holds anything else (an import, a call, an expression), or is not Python.
    """
    try:
        return Config(parse_literals(text))
    except SyntaxError as error:
        raise ValueError(
            f'{source}: the config in it is not Python ({error}); expected assignments'
        ) from None
    except NotLiteralError as error:
        raise ValueError(
            f'{source}: line {error.line} of the config in it is not a plain value ({error.code}); '
            'such a text could run any code and is not executed. Give the config file instead'
        ) from None


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name) if name in _FLOATS:
            return _FLOATS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _literal(operand)
            if isinstance(value, int | float):
                return -value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.Set(elts=items) if all(isinstance(item, ast.Constant) for item in items):
            return {_literal(item) for item in items}
        case ast.Dict(keys=keys, values=values) if all(isinstance(key, ast.Constant) for key in keys):
            return {_literal(key): _literal(value) for key, value in zip(keys, values)}
        case ast.Call(func=ast.Name(id='dict'), args=args, keywords=keywords):
            result = {}
            for argument in [*args, *(keyword.value for keyword in keywords if keyword.arg is None)]:
                content = _literal(argument)
                if not isinstance(content, dict):
                    raise NotLiteralError(node)
                result.update(content)
            return result | {keyword.arg: _literal(keyword.value) for keyword in keywords if keyword.arg}
    raise NotLiteralError(node)
