"""The baselines of a benchmark by name, and the short form in which a spec lists them."""

from typing import Any

UNET = "unet"
PRETRAINED_UNET = "pretrained-unet"
OTSU = "otsu"
MEAN_MASK = "mean-mask"
UNETS = (UNET, PRETRAINED_UNET)
PLAIN = (OTSU, MEAN_MASK)
BASELINES = (*UNETS, *PLAIN)
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
"""The models that the names under ``baselines`` stand for. U-Nets without epochs get the CPU time of another model."""


KEY, OLD_KEY = "baselines", "rivals"
"""The key of a spec that lists baselines, and its earlier name, which is still read."""

Fault = tuple[tuple[str, ...], str]
"""The keys that lead to an entry with a fault, and a message on it."""


def with_baselines(values: Any) -> tuple[Any, list[Fault]]:
    """Replace ``baselines`` in the values of a spec by models, which are added after the listed models.

    A U-Net without early stopping gets the CPU time of the last model of promise-seg that the spec lists.

    Args:
        values: the values as read from YAML; only ``baselines``, or ``rivals``, its earlier name, is checked here.

    Returns:
        The values with a model for each baseline without a fault; and the faults: both names of the key, unknown or
        duplicate names, invalid options, and U-Nets whose duration is not defined.
    """
    keys = [key for key in (KEY, OLD_KEY) if isinstance(values, dict) and key in values]
    if not keys:
        return values, []
    key = keys[0]
    others = {name: value for name, value in values.items() if name not in (KEY, OLD_KEY)}
    models = _as_list(others.get("models"))
    if models is None:
        return others, []  # validation of the spec reports the error
    own = [m for m in models if isinstance(m, dict) and m.get("variant") in ("apm", "ips", "apm+ips")]
    timed = own[-1].get("name") if own else None
    wanted, faults = _wanted(key, values[key])
    if len(keys) > 1:
        faults.append(((OLD_KEY,), f"is the earlier name of {KEY}, which is also given. Move its entries to {KEY}"))
    added = []
    for name, options in wanted.items():
        if words := _fault_of(name, options, timed):
            faults.append(((key, str(name)), words) if name in KNOWN else ((key,), words))
        else:
            added.append(_model(name, options or {}, timed))
    return others | {"models": [*models, *added]}, faults


def note_on_old_key(values: Any) -> str | None:
    """Return a note if the values of a spec have the earlier name of ``baselines``, which is still read."""
    if isinstance(values, dict) and OLD_KEY in values:
        return f"{OLD_KEY} is now called {KEY}; the old name still works. Rename it in the spec: nothing else changes"
    return None


def _as_list(models: Any) -> list[Any] | None:
    if models is None:
        return []
    if isinstance(models, dict):
        return [{"name": name, **entry} if isinstance(entry, dict) else entry for name, entry in models.items()]
    return models if isinstance(models, list) else None


def _wanted(key: str, baselines: Any) -> tuple[dict[Any, Any], list[Fault]]:
    """Return options by name, given a list of names or a mapping from names to options; and faults of the whole."""
    entries: Any = dict.fromkeys(baselines) if isinstance(baselines, list) and _are_names(baselines) else baselines
    if not isinstance(entries, dict):
        words = f"found {baselines!r}; expected a list of some of {', '.join(KNOWN)}, or a mapping from them"
        return {}, [((key,), words)]
    doubled = isinstance(baselines, list) and len(entries) < len(baselines)
    return entries, [((key,), "duplicate entry")] if doubled else []


def _are_names(baselines: list[Any]) -> bool:
    return all(isinstance(name, str) for name in baselines)


def _fault_of(name: Any, options: Any, timed: str | None) -> str | None:
    """Return what is wrong with a baseline and its options; ``None`` if nothing is."""
    if name not in KNOWN:
        return f"unknown baseline {name!r}; expected some of {', '.join(KNOWN)}"
    if options is None:
        options = {}
    if not isinstance(options, dict):
        return f"found {options!r}; expected options, such as {{epochs: 50}}, or nothing"
    if fixed := {"name", "variant"} & set(options):
        return f"{min(fixed)} is not an option there. List the model under models instead"
    if timed is None and _needs_time({**KNOWN[name], **options}):
        return (
            "gets the CPU time of a model of promise-seg, but none is listed under models. Take "
            f"{name}-early-stopping, or give it epochs"
        )
    return None


def _needs_time(model: dict[str, Any]) -> bool:
    """Whether the duration of a U-Net is that of another model, which the entry does not name."""
    return model["variant"] in UNETS and not {"epochs", "budget_of"} & set(model)


def _model(name: str, options: dict[str, Any], timed: str | None) -> dict[str, Any]:
    """Return the entry of a baseline as a spec would list it under ``models``."""
    model = {"name": name, **KNOWN[name], **options}
    return model | {"budget_of": timed} if _needs_time(model) else model
