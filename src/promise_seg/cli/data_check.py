"""The command ``promise data check``."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from promise_seg.cli.common import print_line, print_table, stages_bar
from promise_seg.cli.groups import with_groups
from promise_seg.cli.options import OUTPUT, DataArgument, option
from promise_seg.cli.reading_options import READING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from promise_seg.curation.inspection.inspecting import Inspection
    from promise_seg.images.reading import ReadingOptions


@with_groups(reading=READING.without("crop_border", "tile", "overlap"))
def check(
    data: DataArgument,
    reading: "ReadingOptions",
    report: Annotated[
        Path | None, option("--json", metavar="PATH", about="Also write all findings to this JSON file.", panel=OUTPUT)
    ] = None,
    most: Annotated[int, option("--most", min=1, about="How many findings of a kind to print.", panel=OUTPUT)] = 20,
) -> int:
    """Check a data set and report possible problems. The exit code is 0 if there are none, 1 for warnings and 2 for
    errors."""
    from promise_seg.curation.inspection.findings import exit_code
    from promise_seg.curation.inspection.inspecting import inspect
    from promise_seg.storage.files import check_file_writable, write_json

    if report is not None:
        check_file_writable(report, [data])
    with stages_bar() as progress:
        found = inspect(data, reading.applied_to(), progress)
    _print_splits(found)
    _print_findings(found, most)
    if report is not None:
        write_json(report, found.as_json())
        print_line(f"written: {report}")
    return exit_code(found.findings)


def _print_splits(found: "Inspection") -> None:
    has_objects = any(summary.objects for summary in found.summary.values())
    has_classes = any(summary.classes for summary in found.summary.values())
    rows = []
    for split, summary in found.summary.items():
        facts = summary.as_json()
        quartiles, values, sizes = facts["object_share"], facts["values"], list(facts["sizes"])
        row = [
            str(split),
            str(facts["images"]),
            str(facts["groups"]),
            str(facts["empty_masks"]),
            _least_to_most(quartiles, ".2%"),
            f"{values[0]:g} ... {values[1]:g}" if values else "",
            sizes[0] if len(sizes) == 1 else f"{len(sizes)}, most often {sizes[0]}" if sizes else "",
        ]
        if has_objects:
            row += [_least_to_most(facts.get(name, ()), ".0f") for name in ("objects_per_image", "object_pixels")]
        classes = ", ".join(f"{label} in {count}" for label, count in facts["classes"].items())
        rows.append([*row, classes] if has_classes else row)
    head = [
        "split", "images", "groups", "empty masks", "foreground share: least, median, most", "image values",
        "sizes in px",
    ]  # fmt: skip
    head += ["objects per image", "size of an object in px"] if has_objects else []
    print_table([*head, "classes"] if has_classes else head, rows, str(found.manifest))


def _least_to_most(quartiles: "Sequence[float]", form: str) -> str:
    """Return the least, the median and the highest value of five quartiles; empty if there are none."""
    return " ... ".join(format(quartiles[at], form) for at in (0, 2, 4)) if quartiles else ""


def _print_findings(found: "Inspection", most: int) -> None:
    if not found.findings:
        print("nothing is wrong")
        return
    counts: Counter[str] = Counter()
    rows = []
    for finding in found.findings:
        counts[finding.kind] += 1
        if counts[finding.kind] <= most:
            line = finding.where.rpartition(":")[2]
            rows.append((finding.severity, finding.kind, line if line.isdecimal() else "", finding.message))
    print_table(("severity", "what", "line", "found"), rows)
    for kind, count in counts.items():
        if count > most:
            print(f"{count - most} more of the kind {kind}: see --most and --json")
    errors = sum(finding.severity == "error" for finding in found.findings)
    print(f"{errors} error(s), {len(found.findings) - errors} warning(s)")
