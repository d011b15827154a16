import pytest

from promise_seg.reporting.svg import bare_svg, named_svg

FILE = """<?xml version="1.0"?>
<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">
<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="100pt" height="50pt"
 viewBox="0 0 100 50" version="1.1"><metadata>who</metadata><defs><style type="text/css">*{stroke: red}</style></defs>
<g id="unused"><defs><path id="dot" d="M 0 0"/><clipPath id="clip"/></defs>
<use xlink:href="#dot" clip-path="url(#clip)"/>
<text style="font-size: 9px; font-family: 'DejaVu Sans'">url(#clip)</text>
</g></svg>"""


def test_what_belongs_to_a_file_is_gone_and_it_shrinks():
    svg = bare_svg(FILE)
    assert svg.startswith("<svg")
    for word in ("xml version", "DOCTYPE", "metadata", "<style", "font-family", 'width="'):
        assert word not in svg
    assert "width: 100%; max-width: 145px; height: auto" in svg


def test_without_a_view_box_it_cannot_shrink():
    with pytest.raises(ValueError, match="view box"):
        bare_svg('<svg xmlns="http://www.w3.org/2000/svg"/>')


def test_ids_are_its_own_and_still_point_to_each_other():
    svg = named_svg(bare_svg(FILE), 'a "name" & <more>', "chart-7")
    for word in ('id="chart-7-dot"', 'href="#chart-7-dot"', 'id="chart-7-clip"', 'clip-path="url(#chart-7-clip)"'):
        assert word in svg
    assert "unused" not in svg
    assert ">url(#clip)</text>" in svg
    assert '<title id="chart-7-title">a "name" &amp; &lt;more&gt;</title>' in svg
    assert 'role="img" aria-labelledby="chart-7-title"' in svg
