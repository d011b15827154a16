"""The table of a folder of predictions, for tests."""

import csv


def table(folder):
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))
