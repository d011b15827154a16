"""How the tests of the documentation read a page."""

from pathlib import Path

import pytest

from tests.documentation.pages import Block, commands_of, inline_commands, read_page

PAGE = """# Title

<!-- test: needs runs/first frame.png -->
<!-- test: imports onnx -->
Text with `promise data
make folder`.

```python
a = 1
```

<!-- test: skip because it needs a cluster -->
```sh
promise train x
```

- in a list:

  ```python
  b = a
  ```
"""


def test_blocks_are_found_with_their_lines_and_what_is_said_of_them():
    page = read_page(Path("p.md"), PAGE)
    assert page.needs == ["runs/first", "frame.png"]
    assert page.imports == ["onnx"]
    assert page.blocks == [
        Block(Path("p.md"), 9, "python", "a = 1\n"),
        Block(Path("p.md"), 14, "sh", "promise train x\n", "it needs a cluster"),
        Block(Path("p.md"), 20, "python", "b = a\n"),
    ]
    assert list(inline_commands(page)) == [(5, "promise data make folder")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<!-- test: skip -->\n```sh\n```\n", "p.md:1: .*expected needs FILES, imports PACKAGES or skip"),
        ("<!-- test: skip because so -->\ntext\n", "a reason to skip, and no block after it"),
        ("text\n```sh\npromise\n", "p.md:3: a block without an end"),
    ],
)
def test_what_cannot_be_understood_is_refused(text, reason):
    with pytest.raises(ValueError, match=reason):
        read_page(Path("p.md"), text)


def test_command_lines_are_taken_apart():
    code = (
        "# all\nCUDA_VISIBLE_DEVICES=0 promise train a.csv \\\n  --epochs 2  # so many\n"
        "promise sam list | head && ls 'a b'\n"
    )
    assert list(commands_of(Block(Path("p.md"), 10, "sh", code))) == [
        (11, ["promise", "train", "a.csv", "--epochs", "2"]),
        (13, ["promise", "sam", "list"]),
        (13, ["head"]),
        (13, ["ls", "a b"]),
    ]
