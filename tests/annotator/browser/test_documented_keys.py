"""The keys that the documentation names are those of the page."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
SHOWN = {"Delete": "Del", "Escape": "Esc", "PageUp": "PgUp", "PageDown": "PgDn"}
IN_LISTS = {"Home", "End", "Ctrl+Home", "Ctrl+End"}
"""What moves the focus in lists, and cannot be changed."""
SAID_IN_WORDS = {"Backspace", "?", "F1", "=", *(str(number) for number in range(2, 9))}


def keys_of_the_page():
    """All keys of the key map, as people write them."""
    text = (ROOT / "src/promise_seg/annotator/page/js/keymap.js").read_text()
    found = set(re.findall(r'command\("[^"]+", "[^"]+", "([^"]+)"', text))
    keys = {key for keys in found for key in keys.split()} | {str(number) for number in range(1, 10)}
    return {"+".join(SHOWN.get(part, part) for part in key.split("+")) if key != "+" else key for key in keys}


def test_every_key_is_documented():
    section = (ROOT / "docs/annotating.md").read_text().split("## Keys\n")[1].split("\n## ")[0]
    documented = set(re.findall(r"`([^`]+)`", section))
    arrows = {key for key in keys_of_the_page() if "Arrow" in key}
    assert len(keys_of_the_page()) > 50
    assert keys_of_the_page() - arrows - SAID_IN_WORDS <= documented
    assert documented <= keys_of_the_page() | {"Ctrl", "Shift", "?"} | IN_LISTS
