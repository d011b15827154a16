"""The spec of a benchmark: a YAML file with data sets, SAMs, models and seeds."""

from collections.abc import Iterator
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import InitErrorDetails

from promise_seg.assessment.measures import MEASURE_NAMES, about_older_name
from promise_seg.benchmarking.baselines import BASELINES, KEY, PRETRAINED_UNET, UNETS, note_on_old_key, with_baselines
from promise_seg.benchmarking.pretrained_unet import SIDE, SIDE_STEP
from promise_seg.benchmarking.spec_faults import faults_between, place_with_name
from promise_seg.bounds import LARGEST_INPUT_SIDE, MOST_POINTS
from promise_seg.errors import SettingsError, first_line
from promise_seg.images.reading import Reading, ReadingOptions
from promise_seg.images.tiles import AUTO_TILE, NO_TILE
from promise_seg.learning.settings import APM_PREFIX, OPTIONS, TrainSettings, make_settings
from promise_seg.validation import TOO_SHORT, Faults, hint, list_faults, refuse_faults
from promise_seg.vocabulary import PromptSource, Protocol, Variant

NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9 ._+-]*[A-Za-z0-9_+-])?$"
"""Pattern of names that are valid folder names on every system, except the reserved names of Windows."""
_NOT_FOR_TRAINING = {"variant": "set it for each model", "seed": "list seeds under seeds"}
_SETTINGS = {option: setting for setting, option in OPTIONS.items()}


def _checked_seeds(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if not seeds:
        raise ValueError("empty; expected at least one seed")
    if len(set(seeds)) < len(seeds):
        raise ValueError("duplicate seed")
    return seeds


def _checked_training(training: dict[str, Any]) -> dict[str, Any]:
    faults = [f"{key} is not a setting there: {why}" for key, why in _NOT_FOR_TRAINING.items() if key in training]
    if training.get("protocol", Protocol.OWN) not in tuple(Protocol):
        faults.append(f"protocol {training['protocol']!r}: expected {' or '.join(Protocol)}")
    known = {*TrainSettings.model_fields, *_SETTINGS}
    unknown = [key for key in map(str, training) if key not in known and not key.startswith(APM_PREFIX)]
    faults += [f"{key}: unknown setting{hint(key, _SETTINGS)}" for key in unknown]
    refuse_faults(faults)
    return training


Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_checked_seeds)]
Training = Annotated[dict[str, Any], AfterValidator(_checked_training)]
"""Settings of ``promise train`` by name, with underscores."""
BARE = "sam"
_ENTRIES = {"data": "data sets", "sams": "SAMs", "models": "models"}
_SPECS = files("promise_seg.benchmarking") / "specs"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSpec(_Part, ReadingOptions):
    """A manifest, the options for reading its files, and the test sets on which its models are scored.

    ``tests`` names the data sets whose test rows are scored, by default the data set itself. With ``by``, a column of
    the manifest, the test rows are one test set for each value of the column. ``mask_folder`` contains masks that
    replace the masks of the manifest with the same file names.
    """

    name: str = Field(pattern=NAME_PATTERN)
    manifest: Path
    mask_folder: Path | None = None
    by: str | None = None
    tests: tuple[str, ...] = ()
    train: bool = True
    training: Training = {}

    @field_validator("label")
    @classmethod
    def _one_class(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError(f"expected one class, a whole number, got {value!r}")
        return value

    @field_validator("tile")
    @classmethod
    def _given_tile(cls, value: Any) -> Any:
        if value == AUTO_TILE:
            raise ValueError(f"expected the side of a tile or {NO_TILE}, as all models of a benchmark share it")
        return value

    @field_validator("training")
    @classmethod
    def _without_protocol(cls, value: dict[str, Any]) -> dict[str, Any]:
        if "protocol" in value:
            raise ValueError("set the protocol for a model, or under training for all")
        return value

    @property
    def reading(self) -> Reading:
        """The options by which its files are read.

        Raises:
            SettingsError: if the options contradict each other.
        """
        return self.applied_to()


class SamSpec(_Part):
    """A SAM, as for ``--sam`` and ``--image-size``; ``name`` is its name in tables and folders."""

    name: str = Field(pattern=NAME_PATTERN)
    source: str
    image_size: int | None = Field(None, ge=16, le=LARGEST_INPUT_SIDE)


class ModelSpec(_Part):
    """A model, with a line of the table for each kind of prompts.

    ``variant`` is a variant of promise-seg, ``sam`` for the bare SAM, or a baseline: ``unet``, MONAI's BasicUNet
    trained from scratch; ``pretrained-unet``, whose encoder was trained on ImageNet; ``otsu`` and ``mean-mask``, which
    need no training. A U-Net is trained on the same rows, either for the CPU time that encoding and training the model
    ``budget_of`` took, or for ``epochs``; with ``patience``, it stops after this number of epochs without a gain.
    ``side`` is the side of the input of ``pretrained-unet`` in pixels.
    """

    name: str = Field(pattern=NAME_PATTERN)
    variant: Literal["sam", "apm", "ips", "apm+ips", "unet", "pretrained-unet", "otsu", "mean-mask"]
    prompts: tuple[PromptSource, ...] = ()
    seeds: Seeds | None = None
    budget_of: str | None = None
    epochs: int | None = Field(None, ge=1)
    patience: int | None = Field(None, ge=1)
    side: int | None = Field(None, ge=SIDE_STEP, multiple_of=SIDE_STEP)
    training: Training = {}

    @property
    def is_promise(self) -> bool:
        """Whether promise-seg trains the model."""
        return self.variant != BARE and not self.is_baseline

    @property
    def is_baseline(self) -> bool:
        """Whether the model is neither SAM nor promise-seg."""
        return self.variant in BASELINES

    @property
    def is_unet(self) -> bool:
        """Whether the model is a U-Net of either kind."""
        return self.variant in UNETS

    @property
    def pretrained_side(self) -> int | None:
        """The side of the input of a pretrained U-Net in pixels; ``None`` for any other model."""
        return (self.side or SIDE) if self.variant == PRETRAINED_UNET else None

    @property
    def scored_with(self) -> tuple[PromptSource, ...]:
        """The kinds of prompts to score with: the given ones, or own prompts (with an APM) and oracle points."""
        if self.is_baseline:
            return (PromptSource.NONE,)
        own = (PromptSource.APM,) if "apm" in self.variant else ()
        return self.prompts or (*own, PromptSource.ORACLE)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        refuse_faults(self._faults())
        return self

    def _faults(self) -> Iterator[str]:
        if self.is_unet:
            if (self.budget_of is None) == (self.epochs is None):
                yield f"a {self.variant} needs either budget_of, the name of a model, or epochs"
            if self.patience is not None and self.epochs is None:
                yield "patience needs epochs, as an upper bound"
        elif self.budget_of is not None or self.epochs is not None or self.patience is not None:
            yield (
                "budget_of, epochs and patience are only for a unet or pretrained-unet; set epochs of models of "
                "promise-seg under training"
            )
        if self.is_baseline and (self.prompts or self.training):
            yield f"a model of variant {self.variant} has neither prompts nor training"
        if self.side is not None and self.variant != PRETRAINED_UNET:
            yield "side is only for a pretrained-unet"
        if len(set(self.prompts)) < len(self.prompts):
            yield "prompts: duplicate entry"
        if self.variant == BARE and self.training:
            yield "the bare sam is not trained"
        if PromptSource.APM in self.prompts and not self.is_baseline and "apm" not in self.variant:
            yield f"a model of variant {self.variant} has no points of its own; expected prompts oracle, box or none"


class BenchmarkSpec(_Part):
    """The spec of a benchmark.

    Settings under ``training`` are those of ``promise train``, with underscores. Settings of a data set override
    general settings, and settings of a model override both. :func:`read_spec` takes a missing ``title`` from the name
    of the file. ``baselines``, a list of names or a mapping from names to options, is a short form of models (see
    :func:`~promise_seg.benchmarking.baselines.with_baselines`).
    """

    SHORT_FORMS: ClassVar[tuple[str, ...]] = (KEY,)
    _notes: tuple[str, ...] = PrivateAttr(())

    title: str
    data: tuple[DataSpec, ...] = Field(min_length=1)
    sams: tuple[SamSpec, ...] = (SamSpec(name="nano", source="nano"),)
    models: tuple[ModelSpec, ...] = Field(min_length=1)
    seeds: Seeds = (0, 1, 2)
    measures: tuple[str, ...] = Field(("dice", "iou"), min_length=1)
    training: Training = {}
    oracle_points: int = Field(16, ge=1, le=MOST_POINTS)

    @model_validator(mode="wrap")
    @classmethod
    def _checked(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Expand ``baselines`` to models, and report their faults together with those of all other entries.

        Faults between entries are looked for if all entries except baselines are valid.
        """
        expanded, of_baselines = with_baselines(values)
        found = [_fault_at(loc, values[loc[0]], ValueError(words)) for loc, words in of_baselines]
        try:
            spec = check(expanded)
        except ValidationError as error:
            if not of_baselines:
                raise
            others = [one for one in error.errors() if (one["loc"], one["type"]) != (("models",), TOO_SHORT)]
            found += [
                InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"], ctx=one.get("ctx", {}))
                for one in others
            ]
        else:
            if between := list(faults_between(spec)):
                found.append(_fault_at((), values, Faults(between)))
            if not found:
                return spec
        raise ValidationError.from_exception_data(cls.__name__, found)

    @field_validator("sams", mode="before")
    @classmethod
    def _sourced(cls, value: Any) -> Any:
        """Expand ``nano`` to ``{name: nano, source: nano}``."""
        if isinstance(value, list):
            return [{"name": v.rstrip("/").split("/")[-1], "source": v} if isinstance(v, str) else v for v in value]
        return value

    @field_validator("data", "models", "sams", mode="before")
    @classmethod
    def _named(cls, value: Any, info: ValidationInfo) -> Any:
        """Expand ``{polyp: {...}}`` to ``[{name: polyp, ...}]``."""
        if isinstance(value, dict):
            entries = {name: {} if entry is None else entry for name, entry in value.items()}
            return [{"name": name, **e} if isinstance(e, dict) else e for name, e in entries.items()]
        if not isinstance(value, list | tuple):
            raise ValueError(f"found {value!r}; expected a mapping of names to {_ENTRIES[info.field_name or '']}")
        return value

    @field_validator("measures")
    @classmethod
    def _known_measures(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        choices = ", ".join(MEASURE_NAMES)
        refuse_faults(
            f"{about_older_name(name) or f'unknown measure {name!r}'}; expected some of {choices}"
            for name in dict.fromkeys(value)
            if name not in MEASURE_NAMES
        )
        return value

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for the user on the file that the spec was read from."""
        return self._notes

    @property
    def precision(self) -> str:
        """The precision of all runs."""
        return str(self.settings(self.data[0], self.models[0], self.seeds[0]).precision)

    def tests_of(self, data: DataSpec) -> tuple[DataSpec, ...]:
        """Return the data sets on whose test rows the models of a data set are scored."""
        return tuple(other for other in self.data if other.name in (data.tests or (data.name,)))

    def settings(
        self, data: DataSpec, model: ModelSpec, seed: int, begun: TrainSettings | None = None
    ) -> TrainSettings:
        """Return the settings of one run; for a bare SAM or a baseline, those of an ``ips`` model.

        Raises:
            SettingsError: if settings are invalid; the message names each of them.
        """
        values = {_SETTINGS.get(k, k): v for k, v in self._training(data, model).items()}
        variant = model.variant if model.is_promise else Variant.IPS
        return make_settings(begun, **values | {"variant": str(variant), "seed": seed})

    def gives(self, data: DataSpec, model: ModelSpec, setting: str) -> bool:
        """Whether the spec contains a setting of ``promise train`` for the runs of a model on a data set."""
        return setting in self._training(data, model)

    def _training(self, data: DataSpec, model: ModelSpec) -> dict[str, Any]:
        return self.training | data.training | model.training

    def protocol_of(self, model: ModelSpec) -> Protocol:
        """Return the protocol by which a model is trained and scored."""
        return Protocol((self.training | model.training).get("protocol", Protocol.OWN))


def _fault_at(loc: tuple[str, ...], value: Any, error: ValueError) -> InitErrorDetails:
    """Return a fault in the form in which pydantic takes those of its own."""
    return InitErrorDetails(type="value_error", loc=loc, input=value, ctx={"error": error})


def included_specs() -> list[str]:
    """Return the names of the specs that are part of the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _SPECS.iterdir() if entry.name.endswith(".yaml"))


def read_spec(place: str | Path) -> BenchmarkSpec:
    """Read and check a spec: a file, or the name of an included spec.

    Paths in a file are relative to its folder, paths in an included spec to the working directory.

    Raises:
        SettingsError: if there is no such spec, or it is invalid; the message has a line for each fault.
    """
    path = Path(place)
    if str(place) in included_specs() and not path.exists():
        text, folder = (_SPECS / f"{place}.yaml").read_text(encoding="utf-8"), Path()
    else:
        folder = path.parent
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            raise SettingsError(
                f"{place}: cannot be read: {reason}. Expected a YAML file, or an included one: "
                f"{', '.join(included_specs())}"
            ) from error
    try:
        values = yaml.load(text, _NoDoubledKeys)
        if isinstance(values, dict):
            values = {"title": Path(place).stem} | values
        spec = BenchmarkSpec.model_validate(values)
        if (old := note_on_old_key(values)) is not None:
            spec._notes = (f"{place}: {old}",)
    except yaml.YAMLError as error:
        raise SettingsError(f"{place}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        lines = list_faults(error, BenchmarkSpec, "spec", partial(place_with_name, values))
        raise SettingsError("\n".join(f"{place}: {line}" for line in lines)) from error
    except (ValueError, RecursionError) as error:  # invalid dates, numbers with thousands of digits, deep nesting
        raise SettingsError(f"{place}: holds a value that cannot be read: {first_line(error)}") from error
    return spec.model_copy(
        update={
            "data": tuple(_in_folder(data, folder) for data in spec.data),
            "sams": tuple(_sam_in_folder(sam, folder) for sam in spec.sams),
        }
    )


class _NoDoubledKeys(yaml.SafeLoader):
    """A YAML loader that refuses duplicate keys, of which YAML would silently use the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Read a mapping and check its keys, before entries of other mappings are merged into it."""
        node = super().compose_mapping_node(anchor)
        keys = [(key.tag, key.value) for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                raise yaml.composer.ComposerError(
                    None, None, f"duplicate key {key[1]!r}", node.value[number][0].start_mark
                )
        return node


def _sam_in_folder(sam: SamSpec, folder: Path) -> SamSpec:
    """Resolve the source of a SAM relative to the spec if it exists there; otherwise it is a name, or a path relative
    to the working directory."""
    beside = folder / sam.source
    return sam.model_copy(update={"source": str(beside)}) if beside.exists() else sam


def _in_folder(data: DataSpec, folder: Path) -> DataSpec:
    mask_folder = None if data.mask_folder is None else folder / data.mask_folder
    return data.model_copy(update={"manifest": folder / data.manifest, "mask_folder": mask_folder})
