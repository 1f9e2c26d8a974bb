"""Batches of scopes as an Airflow deployment keeps them: in a Variable, or in a YAML file beside the DAGs.

What is not a batch is an error that names the Variable, or file and line. Only a Variable or file that does not exist
gives None: a wrong one must not become "all teams".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sei_provider.api.errors import SeiInputError
from sei_provider.api.request import Scope
from sei_provider.api.scopes import parse_batch, parse_batch_json
from sei_provider.api.validation import quoted

if TYPE_CHECKING:
    from yaml.nodes import Node

_NUMBER = re.compile("[1-9][0-9]*")
_EXAMPLE = 'the file is a list of team ids, one a line, as in - "101"'


def scopes_from_variable(name: str) -> list[Scope] | None:
    """Return the batch in the Airflow Variable `name`: JSON text, a list of scopes or a single one.

    None if there is no such Variable. Raises `SeiInputError`, which names the Variable, for any other value.
    """
    from airflow.sdk import Variable

    # As text: with deserialize_json Airflow gives the default for a value that is not JSON, and only logs it.
    text = Variable.get(name, default=None)
    return None if text is None else parse_batch_json(text, f"the Variable {name}")


def scopes_from_file(path: Path) -> list[Scope] | None:
    """Return the batch in a YAML file: a list of team ids, or of mappings with `teamId` or `orgTreeName`.

    None if there is no such file; a link that leads nowhere, or the same name with `.yml`, is an error. Raises
    `SeiInputError`, which names file and line, for anything else. YAML gives some ids another value than they show
    (`0101` is 65, `12:30` is 750, `no` is false), so these are refused without quotes.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        _refuse_other_file(path)
        return None
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path} cannot be read: {error}; {_EXAMPLE}"
        raise SeiInputError(msg) from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        line = 1 if root is None else root.start_mark.line + 1
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        msg = f"{path}, line {mark.line + 1 if mark else 1}: {problem}; {_EXAMPLE}"
        raise SeiInputError(msg) from None
    if not isinstance(root, yaml.SequenceNode):
        found = "nothing" if root is None else f"a {type(root).__name__.removesuffix('Node').lower()}"
        msg = f"{path}, line {line}: a list must be here, not {found}; {_EXAMPLE}"
        raise SeiInputError(msg)
    values = []
    for node in root.value:
        where = f"{path}, line {node.start_mark.line + 1}"
        try:
            values.append(_value(node, path))
        except RecursionError:
            msg = f"{where}: the entry holds itself; {_EXAMPLE}"
            raise SeiInputError(msg) from None
        parse_batch(values[-1:], where)
    return parse_batch(values, str(path))


def _refuse_other_file(path: Path) -> None:
    """Raise `SeiInputError` if the file is missing by mistake: a link that leads nowhere, or `.yml` in its place."""
    if path.is_symlink():
        msg = f"{path} is a link to {path.readlink()}, which does not exist; correct it, or delete it for all teams"
        raise SeiInputError(msg)
    other = path.with_suffix(".yml")
    if other != path and (other.exists() or other.is_symlink()):
        msg = f"{other} is not read; name it {path.name}, or delete it for all teams"
        raise SeiInputError(msg)


def _value(node: Node, path: Path) -> Any:
    """Return what a node says, with plain text and numbers as they are written."""
    import yaml

    where = f"{path}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        pairs = [(_value(key, path), _value(value, path)) for key, value in node.value]
        keys = [key for key, _ in pairs]
        if any(not isinstance(key, str) for key in keys) or len(set(keys)) < len(keys):
            msg = f"{where}: a key that is not text, or that is there twice: {quoted(keys)}; {_EXAMPLE}"
            raise SeiInputError(msg)
        return dict(pairs)
    if not isinstance(node, yaml.ScalarNode):
        msg = f"{where}: a list within the list; {_EXAMPLE}"
        raise SeiInputError(msg)
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind == "str" and (node.style is not None or not re.fullmatch("[0-9]+", node.value)):
        return node.value
    if kind in {"int", "str"} and _NUMBER.fullmatch(node.value):
        return node.value
    msg = f'{where}: YAML does not read {node.value!r} as the text of an id; put it in quotes, as in - "101"'
    raise SeiInputError(msg)
