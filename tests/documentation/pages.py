"""The blocks of code in Markdown pages, and what a page says about them in comments that a reader does not see.

``<!-- test: needs runs/first frame.png -->``, anywhere before a block of Python: the files that must be there when it
runs. ``<!-- test: imports onnx -->``, likewise: packages without which it is skipped. ``<!-- test: skip because
... -->``, right before a block of any language: it is not tested, for that reason.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("src/**/*.md")]
)

_COMMENT = re.compile(r"<!-- test: (needs|imports|skip because) (.+) -->")
_WIDTH = 120
_LIST_MARK = re.compile(r"^([-*+]|\d+\.) +")
_FENCE = re.compile(r"( *)(```+|~~~+) *(\w*).*")


@dataclass
class Block:
    """A fenced block; ``line`` is the number of its first line of code, from 1."""

    page: Path
    line: int
    language: str
    code: str
    skipped_because: str = ""


@dataclass
class Page:
    """A page: its blocks in order, the files and packages that it needs, and its text with the blocks left blank."""

    path: Path
    blocks: list[Block] = field(default_factory=list)
    needs: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    prose: str = ""

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


def read_page(path: Path, text: str | None = None) -> Page:
    """Take a page apart.

    Raises:
        ValueError: if a comment for the tests cannot be understood, or a block has no end.
    """
    page, prose = Page(path), []
    open_block: Block | None = None
    indent = fence = reason = ""
    for number, line in enumerate((path.read_text(encoding="utf-8") if text is None else text).splitlines(), 1):
        if open_block is not None:
            if line.strip() == fence:
                page.blocks.append(open_block)
                open_block = None
            else:
                open_block.code += line.removeprefix(indent) + "\n"
            prose.append("")
            continue
        if found := _FENCE.fullmatch(line):
            indent, fence, language = found.groups()
            open_block, reason = Block(path, number + 1, language, "", reason), ""
        elif found := _COMMENT.fullmatch(line.strip()):
            if found[1] == "needs":
                page.needs += found[2].split()
            elif found[1] == "imports":
                page.imports += found[2].split()
            else:
                reason = found[2]
        elif line.lstrip().startswith("<!-- test"):
            expected = "needs FILES, imports PACKAGES or skip because REASON"
            raise ValueError(f"{path}:{number}: {line.strip()}: expected {expected}")
        prose.append("" if open_block else line)
    if open_block is not None:
        raise ValueError(f"{path}:{open_block.line}: a block without an end")
    if reason:
        raise ValueError(f"{path}: a reason to skip, and no block after it")
    page.prose = "\n".join(prose)
    return page


def wide_lines(path: Path) -> list[str]:
    """Lines of prose that are too wide and have a space where they can be broken, each as a message."""
    found = []
    for number, line in enumerate(read_page(path).prose.splitlines(), 1):
        text = _LIST_MARK.sub("", line.strip())
        if len(line) > _WIDTH and " " in text and not text.startswith(("|", "<")):
            found.append(f"{path}:{number}: has {len(line)} characters; expected at most {_WIDTH}")
    return found


def blocks_of(*languages: str) -> Iterator[Block]:
    """All blocks of some languages in all pages, without those that say why they are skipped."""
    for path in PAGES:
        yield from (b for b in read_page(path).blocks if b.language in languages and not b.skipped_because)


def commands_of(block: Block) -> Iterator[tuple[int, list[str]]]:
    """The simple commands of a block of shell code, with the numbers of the lines that they begin on.

    Pipes and lists are taken apart, comments and what is set before a command are left out.
    """
    begins, whole = block.line, ""
    for number, line in enumerate(block.code.splitlines(), block.line):
        begins, whole = (begins, whole + line) if whole else (number, line)
        if whole.endswith("\\"):
            whole = whole[:-1]
            continue
        lexer = shlex.shlex(whole, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for token in [*lexer, ";"]:
            if set(token) <= set("();<>|&"):
                if command:
                    yield begins, command
                command = []
            elif command or not re.fullmatch(r"\w+=.*|time|do|then", token):
                command.append(token)
        whole = ""


def inline_commands(page: Page) -> Iterator[tuple[int, str]]:
    """What the prose has of ``promise ...`` between backticks, with the numbers of the lines."""
    for found in re.finditer(r"`(promise [^`]+)`", page.prose):
        yield page.prose[: found.start()].count("\n") + 1, " ".join(found[1].split())
