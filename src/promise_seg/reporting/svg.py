"""Prepare SVG for embedding in a page: without the parts needed only in files, and with unique ids."""

import re
from xml.etree import ElementTree

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_UNIT = 1.45
_OF_FILES = ("width", "height", "version")
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_POINTER = re.compile(r"url\(#([^)]+)\)")

ElementTree.register_namespace("", _SVG)
ElementTree.register_namespace("xlink", _XLINK)


def bare_svg(text: str) -> str:
    """Return the element of an SVG file without prolog, metadata and styles that would affect the page.

    The element takes the available width, up to the width of its view box in units of 1.45 px, keeps its aspect ratio,
    and uses the font of the page.

    Raises:
        ValueError: if the SVG has no view box, which is needed to shrink it.
    """
    root = ElementTree.fromstring(text)
    box = re.fullmatch(r"0 0 ([\d.]+) [\d.]+", root.get("viewBox", ""))
    if box is None:
        raise ValueError("an SVG needs a view box to shrink")
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}metadata" or child.find(f"{{{_SVG}}}style") is not None:
                parent.remove(child)
    for name in _OF_FILES:
        root.attrib.pop(name, None)
    root.set("style", f"width: 100%; max-width: {float(box[1]) * _UNIT:.0f}px; height: auto")
    root.set("stroke-linejoin", "round")
    for element in root.iter(f"{{{_SVG}}}text"):
        element.set("style", _FONT.sub("", element.get("style", "")))
    return ElementTree.tostring(root, encoding="unicode").strip()


def named_svg(svg: str, name: str, prefix: str) -> str:
    """Return an SVG element with a name for screen readers, and with ids that begin with ``prefix``.

    Ids that nothing refers to are removed.
    """
    root = ElementTree.fromstring(svg)
    href = f"{{{_XLINK}}}href"
    elements = list(root.iter())
    used = {element.get(href, "").removeprefix("#") for element in elements}
    used |= {found for element in elements for value in element.attrib.values() for found in _POINTER.findall(value)}
    for element in elements:
        for key, value in list(element.attrib.items()):
            if key == "id":
                del element.attrib["id"]
                if value in used:
                    element.set("id", f"{prefix}-{value}")
            elif key == href:
                element.set(key, f"#{prefix}-{value.removeprefix('#')}")
            else:
                element.set(key, _POINTER.sub(rf"url(#{prefix}-\1)", value))
    title = ElementTree.Element(f"{{{_SVG}}}title", {"id": f"{prefix}-title"})
    title.text = name
    root.insert(0, title)
    root.set("role", "img")
    root.set("aria-labelledby", f"{prefix}-title")
    return ElementTree.tostring(root, encoding="unicode")
