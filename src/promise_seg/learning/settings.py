"""Settings of a training run."""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from promise_seg.arguments import finite_number, is_truth_value, shown, whole_number
from promise_seg.bounds import MOST_POINTS
from promise_seg.config_versions import with_first_settings
from promise_seg.errors import SettingsError
from promise_seg.prompting.apm import PointCounts, PointsConfig
from promise_seg.prompting.building import CONFIGS, AnyApmConfig, make_apm_config, options_of
from promise_seg.training_defaults import DEFAULTS, DEFAULTS_OF_APM, REFERENCE_DEFAULTS
from promise_seg.validation import UNKNOWN, hint, words_of
from promise_seg.vocabulary import (
    ApmKind,
    Fit,
    GivenPrompts,
    MaskKind,
    Optimizer,
    Precision,
    Protocol,
    Recipe,
    TrainAlso,
    Variant,
)

PRESETS: dict[Protocol, dict[str, Any]] = {
    Protocol.OWN: dict(DEFAULTS),
    Protocol.REFERENCE: DEFAULTS | REFERENCE_DEFAULTS,
}
"""The settings of a new run, before those of its APM and those that the user gives."""

_KEPT = ("apm", "shifts", "given_prompts", "learns_quality", "separate_objects", "scores_volumes")
"""Settings that a resumed run keeps, as they had other defaults when earlier versions began it."""
_KEPT_OF_APM = ("decoder_interval", "mixes_views", "own_sets", "val_interval")
"""The same, for settings whose defaults are those of an APM."""

OPTIONS = {"num_points": "points", "num_foreground": "foreground"} | {
    name: name
    for name in (
        "variant", "apm", "train_also", "epochs", "batch_size", "accumulate", "views", "augmentation",
        "learning_rate", "weight_decay", "optimizer", "point_weight", "saliency_weight", "inverted_views", "fit",
        "precision", "seed",
    )
}  # fmt: skip
"""The option of ``promise train`` for each setting of a run, except ``protocol``."""
APM_PREFIX = "apm_"
"""The prefix of options of one kind of APM, for users: ``--apm-NAME``, ``apm_NAME`` in a spec."""

_USUAL_ABBREVIATIONS = {"lr": "learning_rate", "wd": "weight_decay", "bs": "batch_size"}

_MOST = 1_000_000
"""Larger numbers of epochs, images and views are refused as mistakes; libraries fail with some of them."""


class TrainSettings(BaseModel):
    """The settings of a run, apart from its data, SAM and device, saved in ``settings.json`` of the run.

    No setting has a default here. :func:`make_settings` completes the settings of a new run, and
    :data:`RecordedSettings` is the type of settings that are read from a file, which an earlier version may have
    written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    protocol: Protocol
    variant: Variant
    apm: ApmKind
    apm_options: dict[str, Any]
    """Options specific to this kind of APM; see its config class."""
    train_also: TrainAlso
    num_points: int = Field(ge=1, le=MOST_POINTS)
    num_foreground: int = Field(ge=0)
    fit: Fit
    epochs: int = Field(ge=1, le=_MOST)
    batch_size: int = Field(ge=1, le=_MOST)
    accumulate: int = Field(ge=1, le=_MOST)
    """The number of parts in which each batch is computed, one after the other; a step uses the whole batch."""
    views: int = Field(ge=0, le=_MOST)
    """The number of views per image; 0 for a new one in every epoch, which is encoded on the fly and not stored."""
    augmentation: Recipe
    optimizer: Optimizer
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(ge=0)
    warmup_share: float = Field(ge=0, lt=1)
    mask_weight: float = Field(ge=0)
    point_weight: float = Field(ge=0)
    saliency_weight: float = Field(ge=0)
    edge_weight: float = Field(ge=0)
    """The additional weight of the saliency loss near outlines."""
    distance_weight: float = Field(ge=0)
    presence_weight: float = Field(ge=0)
    quality_weight: float = Field(ge=0)
    shifts: int = Field(ge=1, le=2)
    """The number of shifts; with 2, given prompts have another shift than the model's own prompts."""
    given_prompts: GivenPrompts
    learns_quality: bool
    """Whether the model learns which of SAM's masks is best."""
    decoder_interval: int = Field(ge=1)
    """SAM's decoder takes part in every n-th step; in the others the APM learns from its maps alone."""
    own_sets: int = Field(ge=1)
    """The maximum number of its own sets of prompts, drawn at random, that a model decodes for an image in a step."""
    val_interval: int = Field(ge=1)
    """The val rows are scored after every n-th epoch, and after the last."""
    scores_volumes: bool
    """Whether val rows that are slices of a volume are scored as one mask in 3-D instead of separately."""
    mixes_views: bool
    """Whether every second view on average contains a window of another image, in steps that train the maps alone."""
    inverted_views: float = Field(ge=0, le=1)
    """The share of the views with inverted grey levels, in steps that train the maps alone."""
    separate_objects: bool
    """Whether an APM that prompts for objects learns those of instance maps separately, even where they touch."""
    precision: Precision
    seed: int = Field(ge=0)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.variant == Variant.SAM:
            raise ValueError("the variant sam has nothing to train; choose apm, ips or apm+ips")
        if self.num_foreground > self.num_points:
            raise ValueError(f"--foreground {self.num_foreground}: exceeds --points {self.num_points}")
        if self.apm_options and not self.has_apm:
            options = ", ".join(f"--apm-{name}".replace("_", "-") for name in self.apm_options)
            raise ValueError(f"the variant {self.variant} has no auto-prompting module; leave {options} out")
        known = options_of(self.apm)
        if unknown := [name for name in self.apm_options if name not in known]:
            raise ValueError(f"--apm {self.apm} has no option {unknown[0]}; it has {', '.join(known) or 'none'}")
        try:
            _ = self.apm_config
        except SettingsError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def apm_config(self) -> AnyApmConfig | None:
        """The config of the APM that is trained, if the variant has one."""
        if not self.has_apm:
            return None
        points = {"num_points": self.num_points, "num_foreground": self.num_foreground}
        if not issubclass(CONFIGS[self.apm], PointsConfig):
            points = {}
        return make_apm_config(self.apm, self.protocol, **points, **self.apm_options)

    def separates(self, masks: MaskKind) -> bool:
        """Whether an APM learns to separate objects with masks of this kind."""
        return self.separate_objects and self.has_apm and masks == MaskKind.INSTANCES

    def learns_objects(self, masks: MaskKind) -> bool:
        """Whether the APM learns from the instance map itself."""
        return self.separates(masks) and "separates" in CONFIGS[self.apm].model_fields

    @property
    def learns_from_oracle(self) -> bool:
        """Whether the model learns from oracle prompts: ``ips`` has no others, and ``apm+ips`` stays correctable."""
        return self.variant == Variant.IPS or (self.has_ips and self.protocol == Protocol.OWN)

    @property
    def learns_from_given(self) -> bool:
        """Whether given prompts take part in training: for the shift, or to learn which mask is best."""
        return self.learns_from_oracle or self.learns_quality

    @property
    def has_given_shift(self) -> bool:
        """Whether given prompts have a shift of their own."""
        return self.shifts == 2 and self.variant == Variant.APM_IPS

    @property
    def has_apm(self) -> bool:
        """Whether the variant has an auto-prompting module."""
        return self.variant.has_apm

    @property
    def has_ips(self) -> bool:
        """Whether the variant has a pattern shift."""
        return self.variant.has_ips


RecordedSettings = Annotated[TrainSettings, BeforeValidator(with_first_settings)]
"""The settings of a run as read from a file; settings added after it was written have the values of before."""


def _usual_for(apm: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the default settings of an APM.

    Raises:
        SettingsError: if a number of points is given for an APM that takes none.
    """
    if apm not in tuple(ApmKind):
        return {}  # refused later, with a list of the choices
    config = CONFIGS[ApmKind(apm)]
    given = [OPTIONS[name] for name in PointCounts.model_fields if name in values]
    if given and not issubclass(config, PointsConfig):
        raise SettingsError(
            f"--{given[0]} has no effect with --apm {apm}, which gives each object a box and one point. Leave it out, "
            "or choose --apm heatmap"
        )
    return dict(DEFAULTS_OF_APM.get(ApmKind(apm), {}))


def usual_val_interval(epochs: int, classes: int = 1) -> int:
    """Return the number of epochs between scores of the val rows: these are scored at least twenty times in a training
    that is long enough, or ten times if there are several classes."""
    return max(1, epochs // (20 if classes == 1 else 10))


def with_usual_epochs(
    settings: TrainSettings,
    rows: int,
    begun: TrainSettings | None = None,
    *,
    epochs: int | None = None,
    classes: int = 1,
) -> TrainSettings:
    """Return the settings with a number of epochs that suits the APM and the number of train rows.

    One network for several classes is trained for more epochs: twice as many for three classes, three times for five.
    That is still less work than a network for each class. A resumed run and the reference protocol keep their epochs.

    Args:
        settings: the settings of the run.
        rows: the number of train rows.
        begun: the settings of the run to resume.
        epochs: the number that the user gives.
        classes: the number of classes that one network is trained for.
    """
    config, begun = settings.apm_config, _of_protocol(begun, settings.protocol)
    usual = None if config is None else config.usual_epochs(rows)
    if usual is None or settings.protocol == Protocol.REFERENCE or (begun is not None and epochs is not None):
        return settings
    if begun is not None:
        return settings.model_copy(update={"epochs": begun.epochs, "val_interval": begun.val_interval})
    count = round(usual * (1 + classes) / 2) if epochs is None else epochs
    return settings.model_copy(update={"epochs": count, "val_interval": usual_val_interval(count, classes)})


def _of_protocol(begun: TrainSettings | None, protocol: Protocol) -> TrainSettings | None:
    """Return the settings of the run to resume; ``None`` if it has another protocol, so that it cannot be resumed."""
    return begun if begun is not None and begun.protocol == protocol else None


def _with_usual_options(given: dict[str, Any], apm: str, recipe: str, begun: TrainSettings | None) -> dict[str, Any]:
    """Return the given options of an APM, completed with the defaults of new runs.

    A resumed run gets a default only if it was begun with that option. An option added later may still be given, as by
    the model that the run started from, if its value is the one that reproduces the earlier behaviour.
    """
    if apm not in tuple(ApmKind) or recipe not in tuple(Recipe):
        return given  # refused later, with a list of the choices
    config = CONFIGS[ApmKind(apm)]
    usual = config.options_of_new_runs(Recipe(recipe))
    if begun is not None:
        had = begun.apm_options
        came_later = {name: config.model_fields[name].default for name in usual if name not in had}
        given = {n: value for n, value in given.items() if n not in came_later or value != came_later[n]}
        usual = {name: had[name] for name in usual if name in had}
    return usual | given


def make_settings(begun: TrainSettings | None = None, **values: Any) -> TrainSettings:
    """Return settings from a user's values, completed with the defaults of the protocol.

    Args:
        begun: the settings of the run to resume, if there is one; they provide the values of settings added later.
        values: settings by name; an option of one kind of APM by its name with :data:`APM_PREFIX`.

    Raises:
        SettingsError: naming each invalid value.
    """
    _refuse_other_types(values)
    protocol = Protocol.REFERENCE if values.get("protocol") == Protocol.REFERENCE else Protocol.OWN
    begun = _of_protocol(begun, protocol)
    if "num_foreground" not in values and isinstance(count := values.get("num_points"), int):
        half = max(count + 1, 0) // 2
        values["num_foreground"] = begun.num_foreground if begun is not None and begun.num_points == count else half
    preset = PRESETS[protocol] | ({} if begun is None else {name: getattr(begun, name) for name in _KEPT})
    of_apm = {n for n in values if n.startswith(APM_PREFIX) and n not in TrainSettings.model_fields}
    if of_apm:
        options = {n.removeprefix(APM_PREFIX): values.pop(n) for n in sorted(of_apm)}
        values["apm_options"] = values.get("apm_options", {}) | options
    if values.get("variant", Variant.APM_IPS) != Variant.IPS:
        apm = values.get("apm", preset["apm"])
        usual = _usual_for(apm, values)
        if "val_interval" in usual:
            epochs = values.get("epochs")  # anything but a whole number is refused below
            usual["val_interval"] = usual_val_interval(epochs if isinstance(epochs, int) else usual["epochs"])
        if begun is not None:
            usual |= {name: getattr(begun, name) for name in _KEPT_OF_APM if name in usual}
        recipe = values.get("augmentation", preset["augmentation"])
        if options := _with_usual_options(values.get("apm_options", {}), apm, recipe, begun):
            values["apm_options"] = options
        preset = preset | usual
    try:
        return TrainSettings(**preset | values)
    except ValidationError as error:
        raise SettingsError("; ".join(_fault(one) for one in error.errors())) from error


def _refuse_other_types(values: Mapping[str, Any]) -> None:
    """Refuse texts and truth values in the place of numbers, which would be taken for them.

    Raises:
        SettingsError: naming the first setting.
    """
    for name, value in values.items():
        kind = TrainSettings.model_fields[name].annotation if name in TrainSettings.model_fields else None
        if kind is int and (isinstance(value, str) or is_truth_value(value)):
            whole_number(value, _option(name))
        if kind is float and (isinstance(value, str) or is_truth_value(value)):
            finite_number(value, _option(name))


def _fault(fault: Mapping[str, Any]) -> str:
    """Describe one invalid setting, by the option that it concerns."""
    if not fault["loc"]:
        return words_of(fault)
    setting = str(fault["loc"][0])
    if fault["type"] == UNKNOWN:  # in Python or a file, as commands know their options
        return unknown_option(setting, fault["input"], documented_options())
    words = words_of(fault)
    if setting == "variant" and fault["type"] == "enum":
        words = f"expected {Variant.APM}, {Variant.IPS} or {Variant.APM_IPS}"
    return f"{_option(setting)} {fault['input']}: {words}"


def documented_options() -> list[str]:
    """Return the options of users that determine the settings, as they are spelled in Python."""
    of_apms = {f"{APM_PREFIX}{name}": None for kind in CONFIGS for name in options_of(kind)}
    return ["protocol", *OPTIONS.values(), *of_apms]


def unknown_option(name: str, value: object, known: Collection[str]) -> str:
    """Return a message on an unknown option in Python or in a file.

    Args:
        name: the unknown name.
        value: its value.
        known: the options that exist.
    """
    meant = _USUAL_ABBREVIATIONS.get(name)
    ending = f"; did you mean {meant}?" if meant in known else hint(name, known)
    return f"{name} {shown(value)}: unknown option{ending}"


def _option(setting: str) -> str:
    return f"--{OPTIONS.get(setting, setting).replace('_', '-')}"
