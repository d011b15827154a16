"""Run the cells of a benchmark: train, score, keep. What is finished is never done again."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from promise_seg.assessment.evaluation import Assessment, PromptSource, Result, evaluate
from promise_seg.assessment.report import result_paths, summarise, write_results
from promise_seg.assessment.sealing import log_test
from promise_seg.assessment.strata import SIZE
from promise_seg.benchmarking.cells import Cell, cells_of, folder_name
from promise_seg.benchmarking.spec import BARE, UNET, BenchmarkSpec, DataSpec
from promise_seg.benchmarking.unet import UnetRun, UnetSettings
from promise_seg.checkpoint import BEST_FOLDER, load_checkpoint
from promise_seg.data.checks import CheckedRow, check_rows, data_sha256
from promise_seg.data.manifest import Row, Split, read_manifest, split_off_validation
from promise_seg.errors import ManifestError, PromiseError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.files import write_json
from promise_seg.learning.settings import TrainSettings
from promise_seg.learning.training import LOG_FILE, TrainingRun
from promise_seg.model import PromiseModel, Variant, bare_model
from promise_seg.protocol import Protocol
from promise_seg.sam.frozen import FrozenSam
from promise_seg.sam.loading import load_sam
from promise_seg.trust.calibrating import ensure_calibrated

ENCODING_FILE = "encoding.json"
_VALIDATION_SHARE = 0.15

Progress = Callable[[str, int, int, str], object]
"""Told the stage of a cell, how much is done, of how much, and a few words."""


@dataclass(frozen=True)
class TestSet:
    """Test rows under one heading of the table."""

    __test__ = False  # no class of tests

    name: str
    rows: tuple[CheckedRow, ...]


class Benchmark:
    """A spec with its data and SAMs, and a folder of results.

    All data are read and checked at the start, before anything is trained.

    Args:
        spec: what to run.
        output: folder of all runs.
        store: of features.
        accelerator: device and precision.
        checking: called after each row that was checked.

    Raises:
        PromiseError: with what is wrong with any of the data.
    """

    def __init__(
        self,
        spec: BenchmarkSpec,
        output: Path,
        store: FeatureStore,
        accelerator: Accelerator,
        checking: Callable[[], object] = lambda: None,
    ) -> None:
        self.spec, self.output, self.store, self.accelerator = spec, output, store, accelerator
        self._sams: dict[str, FrozenSam] = {}
        self._rows: dict[tuple[str, bool], list[CheckedRow]] = {}
        self.manifests = {data.name: manifest_rows(data) for data in spec.data}
        for data in spec.data:
            self._check_splits(data)
            for protocol in protocols_of(spec, data):
                self.rows(data, protocol, checking)
        self._check_names()

    def _check_splits(self, data: DataSpec) -> None:
        rows = self.manifests[data.name]
        wanted = {Split.TRAIN} if data.train else set()
        if any(data in self.spec.tests_of(other) for other in self.spec.data if other.train):
            wanted.add(Split.TEST)
        if missing := wanted - {row.split for row in rows}:
            raise ManifestError(f"{data.manifest}: no {', '.join(sorted(missing))} rows, which the benchmark needs")

    def _check_names(self) -> None:
        """Every test set of a model needs a name, and a folder, of its own."""
        for cell in cells_of(self.spec):
            names = [test.name for test in self.tests(cell)]
            places = [folder_name(name) for name in names]
            for name, place in zip(names, places, strict=True):
                if places.count(place) > 1:
                    raise ManifestError(
                        f"{cell.data.name}: the test set {name!r} shares its folder with another; rename a data set, "
                        "or values of the column that by names"
                    )

    def rows(
        self, data: DataSpec, protocol: Protocol, checking: Callable[[], object] = lambda: None
    ) -> list[CheckedRow]:
        """Checked rows of a data set; the published procedure crops the black border unless the spec says otherwise."""
        reading = data.reading
        if data.crop_border is None and protocol == Protocol.REFERENCE:
            reading = replace(reading, crop_border=True)
        key = (data.name, reading.crop_border)
        if key not in self._rows:
            self._rows[key] = check_rows(self.manifests[data.name], reading, checking)
        return self._rows[key]

    def tests(self, cell: Cell) -> list[TestSet]:
        """What the models of a cell's data set are scored on."""
        found = []
        for data in self.spec.tests_of(cell.data):
            rows = [r for r in self.rows(data, self.spec.protocol_of(cell.model)) if r.row.split == Split.TEST]
            if data.by is None:
                found.append(TestSet(data.name, tuple(rows)))
                continue
            values = [dict(row.row.extra).get(data.by) for row in rows]
            if None in values:
                known = ", ".join(name for name, _ in rows[0].row.extra) or "none"
                raise ManifestError(f"{data.manifest}: by: {data.by}: no such column; others than the usual: {known}")
            for value in dict.fromkeys(values):
                chosen = tuple(row for row, own in zip(rows, values, strict=True) if own == value)
                found.append(TestSet(value or data.name, chosen))
        return found

    def sam(self, cell: Cell) -> FrozenSam:
        """Loaded once; no more than one at a time, as they are large."""
        if cell.sam.name not in self._sams:
            self._sams.clear()
            self._sams[cell.sam.name] = load_sam(cell.sam.source, self.accelerator.device, cell.sam.image_size)
        return self._sams[cell.sam.name]

    def run(self, cell: Cell, progress: Progress = lambda *_: None) -> None:
        """Train and score one cell, or what of it is not there yet."""
        if cell.model.variant == UNET:
            self._run_unet(cell, progress)
            return
        sam = self.sam(cell)
        protocol = self.spec.protocol_of(cell.model)
        if cell.model.variant == BARE:
            model = bare_model(sam, self._settings(cell).fit, self.rows(cell.data, protocol)[0].reading)
        else:
            self._train(cell, sam, progress)
            best = cell.folder(self.output) / BEST_FOLDER
            ensure_calibrated(best, self.rows(cell.data, protocol), self.store, sam, self.accelerator.device, progress)
            model = load_checkpoint(cell.folder(self.output), sam, self.accelerator.device)
        for test in self.tests(cell):
            for prompts in cell.model.scored_with:
                self._score(cell, model, test, prompts, progress)

    def _settings(self, cell: Cell) -> TrainSettings:
        """Of a cell's training; of the bare SAM and the U-Net, those that a model beside it would have."""
        if cell.model.is_promise:
            return self.spec.settings(cell.data, cell.model, cell.seed)
        stand_in = cell.model.model_copy(update={"variant": str(Variant.IPS)})
        return self.spec.settings(cell.data, stand_in, cell.seed)

    def _train(self, cell: Cell, sam: FrozenSam, progress: Progress) -> None:
        settings = self._settings(cell)
        rows = self.rows(cell.data, settings.protocol)
        run = TrainingRun(cell.folder(self.output), rows, sam, self.store, settings, self.accelerator)
        if run.finished:
            return
        path = self._encoding_path(cell)
        spent = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"views": 0, "cpu_seconds": 0.0}
        started = time.process_time()
        encoded = run.encode(progress)
        if encoded:
            spent = {
                "views": spent["views"] + encoded,
                "cpu_seconds": round(spent["cpu_seconds"] + time.process_time() - started, 2),
            }
            write_json(path, spent)
        run.run(progress)

    def _encoding_path(self, cell: Cell) -> Path:
        return self.output / cell.data.name / cell.sam.name / ENCODING_FILE

    def cpu_seconds(self, cell: Cell) -> float:
        """Of a cell's training, without encoding."""
        path = cell.folder(self.output) / LOG_FILE
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return float(sum(json.loads(line).get("cpu_seconds", 0.0) for line in lines))

    def encoding(self, cell: Cell) -> dict[str, float]:
        """Views that were encoded for a cell's data set and SAM, once for all models, and the CPU time that it took."""
        path = self._encoding_path(cell)
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"views": 0, "cpu_seconds": 0.0}

    def _score(self, cell: Cell, model: PromiseModel, test: TestSet, prompts: PromptSource, progress: Progress) -> None:
        protocol = self.spec.protocol_of(cell.model)
        how = Assessment(prompts=prompts, num_points=self.spec.oracle_points, seed=cell.seed, protocol=protocol)
        facts = self._facts(cell, test) | {"model_sha256": model.sha256()}
        if self._is_scored(cell, test, how, facts):
            return
        done = 0

        def report() -> None:
            nonlocal done
            done += 1
            progress(f"scoring on {test.name}", done, len(test.rows), prompts.label)

        results = evaluate(model, test.rows, how, store=self.store, progress=report)
        facts |= {"mask_choice": how.choice_for(model), "postprocessing": model.config.postprocessing.words}
        self._write(cell, test, how, results, facts)

    def _facts(self, cell: Cell, test: TestSet) -> dict[str, Any]:
        """What a score depends on, apart from the model and the assessment."""
        return {
            "model": cell.model.name,
            "variant": cell.model.variant,
            "trained_on": cell.data.name,
            "data": test.name,
            "data_sha256": data_sha256(test.rows),
            "split": str(Split.TEST),
            "sam": cell.sam.name,
            "sam_sha256": self.sam(cell).sha256,
            "image_size": self.sam(cell).image_size,
        }

    def _is_scored(self, cell: Cell, test: TestSet, how: Assessment, facts: dict[str, Any]) -> bool:
        table, means = result_paths(cell.scores_folder(self.output, test.name), how.prompts, how.protocol)
        if not (table.exists() and means.exists()):
            return False
        known = json.loads(means.read_text(encoding="utf-8"))
        wanted = facts | {"seed": how.seed}
        if how.prompts == PromptSource.ORACLE:
            wanted["oracle_points"] = how.num_points
        return all(known.get(name) == value for name, value in wanted.items())

    def _write(
        self, cell: Cell, test: TestSet, how: Assessment, results: Sequence[Result], facts: dict[str, Any]
    ) -> None:
        summary = summarise(list(results), how, facts, [SIZE])
        if cell.model.variant != BARE:
            noted = {"prompts": str(how.prompts), "dice": summary["mean"]["dice"]}
            looks = log_test(cell.folder(self.output), facts["model_sha256"], facts["data_sha256"], noted)
            summary["test_looks"] = {
                "this_model": looks.this_model, "other_models": looks.other_models, "note": looks.words()
            }  # fmt: skip
        write_results(cell.scores_folder(self.output, test.name), list(results), summary)

    def _run_unet(self, cell: Cell, progress: Progress) -> None:
        rows = self.rows(cell.data, self.spec.protocol_of(cell.model))
        by_split = {split: [row for row in rows if row.row.split == split] for split in Split}
        settings = self._settings(cell)
        budget = None
        if cell.model.budget_of is not None:
            other = next(model for model in self.spec.models if model.name == cell.model.budget_of)
            budget = self.encoding(cell)["cpu_seconds"] + self.cpu_seconds(cell.of_model(other))
            if not budget:
                raise SettingsError(
                    f"{cell.name}: {other.name} was not trained with this seed, so that its CPU time is not known"
                )
        unet_settings = UnetSettings(
            seed=cell.seed, epochs=cell.model.epochs, cpu_seconds=budget, fit=settings.fit,
            augmentation=settings.augmentation,
        )  # fmt: skip
        run = UnetRun(
            cell.folder(self.output), by_split[Split.TRAIN], by_split[Split.VAL], self.sam(cell), unet_settings
        )
        run.run(lambda share, words: progress("training", round(1000 * share), 1000, words))
        how = Assessment(prompts=PromptSource.NONE, seed=cell.seed)
        for test in self.tests(cell):
            progress(f"scoring on {test.name}", 0, 1, "")
            facts = self._facts(cell, test) | {"model_sha256": run.best_sha256()}
            if not self._is_scored(cell, test, how, facts):
                self._write(cell, test, how, run.evaluate(test.rows), facts)


def protocols_of(spec: BenchmarkSpec, data: DataSpec) -> list[Protocol]:
    """One for each way in which files are read: the published procedure crops them, unless the spec says."""
    found = list(dict.fromkeys(spec.protocol_of(model) for model in spec.models))
    return found if data.crop_border is None else found[:1]


def manifest_rows(data: DataSpec) -> list[Row]:
    """The rows of a data set, with validation rows split off where it trains and has none.

    Raises:
        PromiseError: if they cannot be read.
    """
    try:
        rows = read_manifest(data.manifest)
    except PromiseError as error:
        raise type(error)(f"data.{data.name}: {error}") from error
    if data.mask_folder is not None:
        rows = [replace(row, mask=data.mask_folder / row.mask.name) for row in rows]
    has_train = any(row.split == Split.TRAIN for row in rows)
    if data.train and has_train and not any(row.split == Split.VAL for row in rows):
        rows = split_off_validation(rows, share=_VALIDATION_SHARE, seed=0)
    return rows
