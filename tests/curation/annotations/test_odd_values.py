"""Documents with one odd value anywhere: every image is imported or named, nothing ends in a traceback."""

import copy
import json
import math
from contextlib import suppress

import pytest

from promise_seg.errors import PromiseError
from tests.curation.annotations.helpers import HEIGHT, LARGE, STAR, WIDTH, run, write_image
from tests.curation.annotations.test_coco import document as coco
from tests.curation.annotations.test_coco import flat, packed
from tests.curation.annotations.test_geojson import closed, feature
from tests.curation.annotations.test_label_studio import REGIONS as REGIONS_OF_LABEL_STUDIO
from tests.curation.annotations.test_label_studio import task
from tests.curation.annotations.test_labelme import shape
from tests.curation.annotations.test_via import REGIONS as REGIONS_OF_VIA
from tests.curation.annotations.test_via import export

DOCUMENTS = {
    "coco": coco({"segmentation": [flat(STAR)]}, {"segmentation": packed([[0, 1], [1, 0]]), "iscrowd": 1}),
    "labelme": {
        "shapes": [shape("a", STAR[:3]), shape("b", LARGE[:2], "rectangle"), shape("c", LARGE[:2], "circle")],
        "imagePath": "a.png", "imageWidth": WIDTH, "imageHeight": HEIGHT,
    },
    "label-studio": [task(*REGIONS_OF_LABEL_STUDIO[1:])],
    "via": export(REGIONS_OF_VIA[1:]),
    "geojson": {"type": "FeatureCollection", "features": [feature("Polygon", [closed(STAR[:3])])]},
}  # fmt: skip
ODD = [None, -1, 0, 1e9, math.nan, math.inf, 10**400, "", "x", "../../etc/passwd", [], {}, [[]], True, "\0"]


def places_in(value, place=()):
    """All places in a document, as tuples of keys."""
    if place:
        yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places_in(inner, (*place, key))


def with_value(document, place, odd):
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    return changed


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_traceback(tmp_path, name):
    document = json.loads(json.dumps(DOCUMENTS[name]))
    write_image(tmp_path / "data/a.png")
    path = tmp_path / "data" / ("a.geojson" if name == "geojson" else "x.json")
    tried = 0
    for place in places_in(document):
        for odd in ODD[tried % 5 :: 5]:
            path.write_text(json.dumps(with_value(document, place, odd)))
            tried += 1
            as_what = ("classes", "instances", "per-class")[tried % 3]
            with suppress(PromiseError):
                assert len(run(path, tmp_path / "m.csv", force=True, masks=as_what).pairs) == 1
    assert tried > 50
