"""Run the cells of a benchmark: train, score and save. Finished parts are never repeated."""

from collections.abc import Callable
from pathlib import Path

from accelerate import Accelerator

from promise_seg.assessment.evaluation import Assessment, evaluate
from promise_seg.assessment.report import result_paths
from promise_seg.benchmarking.baseline_runs import baseline_run
from promise_seg.benchmarking.cells import Cell, cells_of
from promise_seg.benchmarking.costs import EncodingCost, encoding_cost, known_encoding_cost, training_seconds, views_of
from promise_seg.benchmarking.data_sets import DataSets, TestSet
from promise_seg.benchmarking.scoring import finish_scores, is_scored, subject_of_cell, write_scores
from promise_seg.benchmarking.spec import BARE, BenchmarkSpec
from promise_seg.checkpoint import load_checkpoint
from promise_seg.dataset.checks import CheckedRow
from promise_seg.errors import PromiseError, SettingsError
from promise_seg.features.store import FeatureStore
from promise_seg.learning.run_note import DataOrigin
from promise_seg.learning.settings import TrainSettings, with_usual_epochs
from promise_seg.learning.training import TrainingRun
from promise_seg.model import PromiseModel, bare_model
from promise_seg.progress import Progress, renamed, silent
from promise_seg.prompting.backbones.loading import load_backbone
from promise_seg.sam.backbone import Backbone
from promise_seg.sam.loading import load_sam
from promise_seg.storage.locks import alone_in
from promise_seg.vocabulary import PromptSource, Protocol, Split
from promise_seg.workflows.begun_run import settings_of_run
from promise_seg.workflows.one_run import run_and_calibrate


class Benchmark:
    """A running benchmark: the spec, its data and SAMs, and the folder of results.

    ``done`` contains the names of cells that have finished; ``failed`` maps the names of failed cells to their errors.

    Data are read and checked, and every SAM is loaded once, before anything is trained.

    Args:
        spec: the spec.
        output: the folder of all runs.
        store: the feature store.
        accelerator: the device and precision.
        checking: called for each row that is checked.
        note: called with notes and warnings for the user.

    Raises:
        PromiseError: if the data or a SAM have problems, or ``budget_of`` is used on another device than the CPU.
    """

    def __init__(
        self,
        spec: BenchmarkSpec,
        output: Path,
        store: FeatureStore,
        accelerator: Accelerator,
        checking: Progress = silent,
        note: Callable[[str], object] = lambda _: None,
    ) -> None:
        self.spec, self.output, self.store, self.accelerator, self._note = spec, output, store, accelerator, note
        self.done: set[str] = set()
        self.failed: dict[str, str] = {}
        if accelerator.device.type != "cpu" and any(model.budget_of for model in spec.models):
            raise SettingsError(
                f"budget_of counts CPU time, but this runs on {accelerator.device.type}. Give the unet epochs, ask for "
                "early stopping instead, or run with --device cpu"
            )
        if any(model.pretrained_side for model in spec.models):
            load_backbone()  # to find out now if its weights are missing
        self.data = DataSets(spec, checking)
        for words in self.data.notes:
            note(words)
        self._sams: dict[str, Backbone] = {}
        for sam in reversed(spec.sams):  # so that the first one stays in memory
            self._load(sam.name)

    def _load(self, name: str) -> Backbone:
        """Return a SAM by its name. Only one SAM is kept in memory, because they are large."""
        if name not in self._sams:
            self._sams.clear()
            sam = next(one for one in self.spec.sams if one.name == name)
            self._sams[name] = load_sam(sam.source, self.accelerator.device, sam.image_size)
        return self._sams[name]

    def sam(self, cell: Cell) -> Backbone:
        """Return the SAM of a cell."""
        return self._load(cell.sam.name)

    def rows(self, cell: Cell) -> list[CheckedRow]:
        """Return all rows of the data set that a cell is trained on."""
        return self.data.rows(cell.data, self.protocol(cell))

    def tests(self, cell: Cell) -> list[TestSet]:
        """Return the test sets that a cell is scored on."""
        return self.data.tests(cell.data, self.protocol(cell))

    def protocol(self, cell: Cell) -> Protocol:
        """Return the protocol by which a cell is trained and scored."""
        return self.spec.protocol_of(cell.model)

    def cells(self) -> list[Cell]:
        """Return all cells in the order in which they run: cells with scores of an earlier run come first, so that all
        tables contain them."""
        return sorted(cells_of(self.spec), key=lambda cell: not self.has_scores(cell))

    def has_scores(self, cell: Cell) -> bool:
        """Whether a cell and the cell of its ``budget_of`` model have scores, whatever their settings."""
        paths = (
            path
            for test in self.tests(cell)
            for prompts in cell.model.scored_with
            for path in result_paths(cell.scores_folder(self.output, test.name), prompts, self.protocol(cell))
        )
        timed = self._timed(cell)
        return all(path.exists() for path in paths) and (timed is None or self.has_scores(timed))

    def attempt(self, cell: Cell, progress: Progress = silent) -> bool:
        """Run a cell and return whether it succeeded. Errors that the user can fix are recorded in ``failed``."""
        try:
            self.run(cell, progress)
        except PromiseError as error:
            self.failed[cell.name] = str(error)
            return False
        return True

    def run(self, cell: Cell, progress: Progress = silent) -> None:
        """Train and score one cell, or only the parts of it that are missing."""
        self._run(cell, progress)
        self.done.add(cell.name)

    def _run(self, cell: Cell, progress: Progress) -> None:
        if cell.model.is_baseline:
            self._run_baseline(cell, progress)
            return
        sam = self.sam(cell)
        if cell.model.variant == BARE:
            model = bare_model(sam, self.settings(cell).fit, self.rows(cell)[0].reading)
        else:
            self._train(cell, sam, progress)
            model = load_checkpoint(cell.folder(self.output), sam, self.accelerator.device)
        for test in self.tests(cell):
            for prompts in cell.model.scored_with:
                self._score(cell, model, test, prompts, progress)

    def settings(self, cell: Cell) -> TrainSettings:
        """Return the settings of a cell: those of the spec, and otherwise the defaults of ``promise train``."""
        begun = settings_of_run(cell.folder(self.output))
        settings = self.spec.settings(cell.data, cell.model, cell.seed, begun)
        if not cell.model.is_promise or self.spec.gives(cell.data, cell.model, "epochs"):
            return settings
        train = self.data.of_split(cell.data, self.protocol(cell), Split.TRAIN)
        usual = with_usual_epochs(settings, len(train), begun)
        given = self.spec.gives(cell.data, cell.model, "val_interval")
        return usual.model_copy(update={"val_interval": settings.val_interval}) if given else usual

    def _train(self, cell: Cell, sam: Backbone, progress: Progress) -> None:
        folder, rows = cell.folder(self.output), self.rows(cell)
        origin = DataOrigin(data=str(cell.data.manifest))
        with alone_in(folder, "training") as lock:
            run = TrainingRun(folder, rows, sam, self.store, self.settings(cell), self.accelerator, origin)
            run.lock = lock
            trained = run_and_calibrate(run, rows, progress, forgiven=PromiseError)
        if trained.why_no_trust:
            self._note(f"{cell.name}: no trust scores: {trained.why_no_trust}")

    def _score(self, cell: Cell, model: PromiseModel, test: TestSet, prompts: PromptSource, progress: Progress) -> None:
        how = Assessment(
            prompts=prompts, num_points=self.spec.oracle_points, seed=cell.seed, protocol=self.protocol(cell)
        )
        subject = subject_of_cell(cell, test, model.sam, model.sha256())
        folder = cell.scores_folder(self.output, test.name)
        if is_scored(folder, how, subject, self.spec.measures, self._note):
            finish_scores(folder, cell.folder(self.output), how, subject)
            return
        scoring = renamed(progress, f"scoring on {test.name}")
        results = evaluate(model, test.rows, how, store=self.store, progress=scoring)
        masks = {"mask_choice": how.choice_for(model), "postprocessing": model.config.postprocessing.words}
        subject = subject.model_copy(update=masks)
        write_scores(folder, cell.folder(self.output), cell, how, results, subject)

    def _run_baseline(self, cell: Cell, progress: Progress) -> None:
        settings, sam, rows = self.settings(cell), self.sam(cell), self.rows(cell)
        train, val = (self.data.of_split(cell.data, self.protocol(cell), split) for split in (Split.TRAIN, Split.VAL))
        with alone_in(cell.folder(self.output), "training"):
            run = baseline_run(cell.model, cell.folder(self.output), train, val, sam, settings, self._cpu_budget(cell))
            if not run.finished and self.accelerator.device.type == "cpu":
                encoding_cost(self._costs_folder(cell), sam, rows, settings)  # for comparing whole costs in the table
            run.run(progress)
        how = Assessment(prompts=PromptSource.NONE, seed=cell.seed, protocol=self.protocol(cell))
        for test in self.tests(cell):
            subject = subject_of_cell(cell, test, sam, run.best_sha256())
            folder = cell.scores_folder(self.output, test.name)
            if is_scored(folder, how, subject, self.spec.measures, self._note):
                finish_scores(folder, cell.folder(self.output), how, subject)
            else:
                progress(f"scoring on {test.name}", 0, 1)
                write_scores(folder, cell.folder(self.output), cell, how, run.evaluate(test.rows, how), subject)

    def _timed(self, cell: Cell) -> Cell | None:
        """Return the cell of the model named by ``budget_of``, if any."""
        if cell.model.budget_of is None:
            return None
        return cell.of_model(next(model for model in self.spec.models if model.name == cell.model.budget_of))

    def _cpu_budget(self, cell: Cell) -> float | None:
        """Return the CPU seconds for encoding and training the model named by ``budget_of``.

        Raises:
            SettingsError: if that model is not fully trained, so its time is unknown.
        """
        other = self._timed(cell)
        if other is None:
            return None
        if other.name not in self.done:
            raise SettingsError(
                f"budget_of: needs the time that {other.name} takes, but that run is not finished. Fix it first, or "
                "give the unet epochs"
            )
        settings, rows = self.settings(other), self.rows(other)
        cost = encoding_cost(self._costs_folder(cell), self.sam(cell), rows, settings)
        encoding = views_of(rows, settings) * cost["cpu_seconds_per_view"]
        return encoding + training_seconds(other.folder(self.output))

    def _costs_folder(self, cell: Cell) -> Path:
        return self.output / cell.data.name / cell.sam.name

    def encoding_cost(self, cell: Cell) -> EncodingCost | None:
        """Return the CPU time to encode one view of a cell's data with its SAM; ``None`` if it was not measured."""
        return known_encoding_cost(self._costs_folder(cell))

    def views(self, cell: Cell) -> int:
        """Return the number of views that are encoded before a cell is trained, even if cells share them."""
        return views_of(self.rows(cell), self.settings(cell))
