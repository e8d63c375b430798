"""Read the text of a config that holds plain values only, without executing it.

mmengine writes the settings of a run as such a text, into its work folder and into its checkpoints.
"""

import ast
from typing import Any

from mmengine.config import Config


def read_config_text(text: str, source: str) -> Config:
    """The config of assignments such as ``lr = 0.1`` and ``model = dict(type='…', channels=[32, 64])``.

    Args:
        text: Python source. Numbers, strings, None, booleans, lists, tuples, dicts and ``dict(…)`` are read.
        source: where the text comes from, for errors.

    Raises:
        ValueError: it holds anything else (an import, a call, an expression), or is not Python.
    """
    try:
        body = ast.parse(text).body
    except SyntaxError as error:
        raise ValueError(
            f'{source}: the config in it is not Python ({error}); expected assignments'
        ) from None
    values = {}
    for statement in body:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue  # a docstring
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if not isinstance(target, ast.Name) or len(statement.targets) > 1:
            raise _refusal(statement, source)
        values[target.id] = _value(statement.value, source)
    return Config(values)


def _value(node: ast.expr, source: str) -> Any:
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.List):
        return [_value(item, source) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_value(item, source) for item in node.elts)
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {_value(k, source): _value(v, source) for k, v in zip(node.keys, node.values)}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _value(node.operand, source)
        if isinstance(number, int | float):
            return -number
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == 'dict':
        result = {}
        for argument in [*node.args, *(k.value for k in node.keywords if k.arg is None)]:
            given = _value(argument, source)
            if not isinstance(given, dict):
                raise _refusal(node, source)
            result.update(given)
        return result | {k.arg: _value(k.value, source) for k in node.keywords if k.arg is not None}
    raise _refusal(node, source)


def _refusal(node: ast.AST, source: str) -> ValueError:
    return ValueError(
        f'{source}: line {node.lineno} of the config in it is not a plain value ({ast.unparse(node)[:80]}); '
        'such a text could run any code and is not executed. Give the config file instead'
    )
