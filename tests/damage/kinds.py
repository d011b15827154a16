"""The ways in which a file is damaged."""

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TEXTS = frozenset({".json", ".jsonl", ".csv", ".yaml"})
_FLIPS, _KEYS, _HEADER = 5, 5, 400


@dataclass(frozen=True)
class Damage:
    """A kind of damage.

    Args:
        kind: its name in tables.
        what: says it in full.
        do: damages the file at a path.
    """

    kind: str
    what: str
    do: Callable[[Path], object]


def damages(path: Path) -> Iterator[Damage]:
    """Yield what can be done to a file, the same in every run."""
    content = path.read_bytes()
    yield from _in_its_place()
    for kind, new in _contents(path, content):
        yield Damage(kind.split(":")[0], kind, lambda p, new=new: p.write_bytes(new))


def _in_its_place() -> Iterator[Damage]:
    """Yield what makes of a file something else than a file that can be read."""

    def folder(path: Path) -> None:
        path.unlink()
        path.mkdir()

    yield Damage("missing", "missing", Path.unlink)
    yield Damage("a folder", "a folder", folder)
    yield Damage("no permission", "no permission", lambda path: path.chmod(0))


def _contents(path: Path, content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield other contents, each with its kind and after a colon which one of that kind."""
    yield "empty", b""
    yield "cut: half", content[: _within_a_line(content, len(content) // 2)]
    yield "cut: a byte", content[:-1]
    yield "not UTF-8", b"\xff\xfe\x00\x80"
    yield "other JSON: null", b"null"
    yield "other JSON: list", b"[]"
    yield "other JSON: number", b"3"
    yield "other JSON: object", b"{}"
    yield "other JSON: text", b'"abc"'
    yield "nested", b"[" * 100_000
    rng = random.Random(path.name)
    places = [rng.randrange(len(content)) for _ in range(_FLIPS)]
    if path.suffix not in _TEXTS:
        places += [rng.randrange(min(_HEADER, len(content))) for _ in range(_FLIPS)]
    for place in places:
        bit = rng.randrange(8)
        flipped = bytearray(content)
        flipped[place] ^= 1 << bit
        yield f"a flipped bit: {bit} of byte {place}", bytes(flipped)
    if path.suffix == ".json":
        yield from _other_values(content, rng)
    elif path.suffix == ".jsonl":
        first, *others = content.split(b"\n")
        for kind, line in _other_values(first, rng):
            yield kind, b"\n".join([line, *others])
    elif path.suffix == ".csv":
        yield from _other_tables(content)


def _within_a_line(content: bytes, place: int) -> int:
    """Return a place near another that is not the end of a line: of a log that ends with a line, nothing is cut."""
    while content[place - 1 : place + 1].count(b"\n"):
        place -= 1
    return place


def _other_values(content: bytes, rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield a JSON object with values of other types, or without a key, at its top and one level below."""
    value = json.loads(content)
    places = [()]
    if isinstance(value, dict):
        places += [(key,) for key, inner in value.items() if isinstance(inner, dict)]
    for place in places:
        inner = value[place[0]] if place else value
        if not isinstance(inner, dict):
            continue
        keys = sorted(inner)
        for key in rng.sample(keys, min(_KEYS, len(keys))):
            others = {k: v for k, v in inner.items() if k != key}
            bad = rng.choice([one for one in (None, [], "x", -1, {"a": 1}, 0.5) if one != inner[key]])
            name = ".".join([*place, key])
            yield f"a missing key: {name}", _dumped(value, place, others)
            yield f"another type: {name}={bad!r}", _dumped(value, place, others | {key: bad})


def _dumped(value: dict, place: tuple[str, ...], inner: dict) -> bytes:
    return json.dumps(value | {place[0]: inner} if place else inner).encode()


def _other_tables(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield tables without a header, a column or a line, and with other words in their places."""
    lines = content.split(b"\n")
    yield "another table: no header", b"\n".join(lines[1:])
    yield "another table: one column", b"\n".join(line.split(b",")[0] for line in lines)
    yield "another table: a word for a number", content.replace(b"0.", b"x.", 1)
    yield "another table: a byte 0", content.replace(b",", b"\x00", 1)
    yield "another table: no first line", b"\n".join([lines[0], *lines[2:]])
    yield "another table: a line twice", b"\n".join([*lines[:2], *lines[1:]])
    yield "another table: only its header", lines[0] + b"\n"
