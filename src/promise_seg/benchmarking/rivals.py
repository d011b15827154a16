"""The rivals of a benchmark by name, and the short form in which a spec lists them."""

from typing import Any

UNET = "unet"
PRETRAINED_UNET = "pretrained-unet"
OTSU = "otsu"
MEAN_MASK = "mean-mask"
UNETS = (UNET, PRETRAINED_UNET)
PLAIN = (OTSU, MEAN_MASK)
RIVALS = (*UNETS, *PLAIN)
"""The variants of models that are neither SAM nor promise-seg."""

EPOCHS, PATIENCE = 100, 20
"""The greatest number of epochs with early stopping, and the number of epochs without a gain after which it stops."""
_EARLY = {"epochs": EPOCHS, "patience": PATIENCE}
KNOWN: dict[str, dict[str, Any]] = {
    OTSU: {"variant": OTSU},
    MEAN_MASK: {"variant": MEAN_MASK},
    UNET: {"variant": UNET},
    "unet-early-stopping": {"variant": UNET, **_EARLY},
    PRETRAINED_UNET: {"variant": PRETRAINED_UNET},
    "pretrained-unet-early-stopping": {"variant": PRETRAINED_UNET, **_EARLY},
}
"""The models that the names under ``rivals`` stand for. U-Nets without epochs get the CPU time of another model."""


def with_rivals(values: Any) -> Any:
    """Replace ``rivals`` in the values of a spec by models, which are added after the listed models.

    A U-Net without early stopping gets the CPU time of the last model of promise-seg that the spec lists.

    Args:
        values: the values as read from YAML; only ``rivals`` is checked here.

    Raises:
        ValueError: for an unknown or duplicate name, invalid options, or a U-Net whose duration is not defined.
    """
    if not isinstance(values, dict) or "rivals" not in values:
        return values
    others = {name: value for name, value in values.items() if name != "rivals"}
    models = _as_list(others.get("models"))
    if models is None:
        return others  # validation of the spec reports the error
    own = [m for m in models if isinstance(m, dict) and m.get("variant") in ("apm", "ips", "apm+ips")]
    timed = own[-1].get("name") if own else None
    return others | {"models": [*models, *(_model(*rival, timed) for rival in _wanted(values["rivals"]))]}


def _as_list(models: Any) -> list[Any] | None:
    if models is None:
        return []
    if isinstance(models, dict):
        return [{"name": name, **entry} if isinstance(entry, dict) else entry for name, entry in models.items()]
    return models if isinstance(models, list) else None


def _wanted(rivals: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return names with options, given a list of names or a mapping from names to options."""
    entries: Any = dict.fromkeys(rivals) if isinstance(rivals, list) and _are_names(rivals) else rivals
    choices = ", ".join(KNOWN)
    if not isinstance(entries, dict):
        raise ValueError(f"rivals: found {rivals!r}; expected a list of some of {choices}, or a mapping from them")
    if isinstance(rivals, list) and len(entries) < len(rivals):
        raise ValueError("rivals: duplicate entry")
    for name, options in entries.items():
        if name not in KNOWN:
            raise ValueError(f"rivals: unknown rival {name!r}; expected some of {choices}")
        if not (options is None or isinstance(options, dict)):
            raise ValueError(f"rivals.{name}: found {options!r}; expected options, such as {{epochs: 50}}, or nothing")
        if options and (fixed := {"name", "variant"} & set(options)):
            raise ValueError(
                f"rivals.{name}: {sorted(fixed)[0]} is not an option there. List the model under models instead"
            )
    return [(name, options or {}) for name, options in entries.items()]


def _are_names(rivals: list[Any]) -> bool:
    return all(isinstance(name, str) for name in rivals)


def _model(name: str, options: dict[str, Any], timed: str | None) -> dict[str, Any]:
    """Return the entry of a rival as a spec would list it under ``models``."""
    model = {"name": name, **KNOWN[name], **options}
    if model["variant"] in UNETS and not {"epochs", "budget_of"} & set(model):
        if timed is None:
            raise ValueError(
                f"rivals.{name}: gets the CPU time of a model of promise-seg, but none is listed under models. Take "
                f"{name}-early-stopping, or give it epochs"
            )
        model["budget_of"] = timed
    return model
