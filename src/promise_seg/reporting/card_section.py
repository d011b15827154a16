"""The section with the run card."""

from promise_seg.environment import Environment
from promise_seg.reporting.blocks import Block, Commands, Facts, Section, Text
from promise_seg.reporting.card import RunCard, Training


def card_section(card: RunCard) -> Section:
    """Return the section with the names, hashes, versions and commands of a run card."""
    hashes = card.hashes
    pairs = [
        ("Model", f"{card.model}, variant {card.variant}, {card.trained_parameters:,} trained parameters"),
        ("SAM", f"{card.sam}, {card.image_size} px"),
        ("Mask choice", "the best by SAM's own score" if card.mask_choice == "score" else card.mask_choice),
        ("Post-processing", card.postprocessing),
        *((f"Licence: {name}", licence) for name, licence in card.licences.items()),
        ("Seeds", ", ".join(f"{name} {seed}" for name, seed in card.seeds.items())),
        ("SHA-256 of the model", hashes.model),
        ("SHA-256 of the SAM", hashes.sam),
        ("SHA-256 of these rows", hashes.data),
        ("SHA-256 of train and val rows", hashes.training_data or "not known"),
        ("SHA-256 of the code", hashes.code),
        ("Git commit of the code", hashes.git_commit or "none"),
    ]
    blocks: list[Block] = [Facts((*pairs, *environment_facts(card.environment, "Report")))]
    if card.training is not None:
        blocks.append(Facts(_training(card.training)))
    blocks += [Text("Commands that reproduce this:"), Commands(card.commands)]
    if card.training is None:
        blocks.append(Text("There is no record of training next to this model.", "note"))
    return Section("Run card", tuple(blocks))


def _training(training: Training) -> tuple[tuple[str, str], ...]:
    pairs = (("Training", f"{_duration(training.hours)}, {training.epochs} epochs"),)
    if training.environment is None:
        return (*pairs, ("Training, environment", "not recorded by the version that trained it"))
    return pairs + environment_facts(training.environment, "Training")


def _duration(hours: float | None) -> str:
    if hours is None:
        return "of unknown duration"
    for size, unit in ((1, "hours"), (60, "minutes")):
        if hours * size >= 1:
            return f"{hours * size:.1f} {unit}"
    return f"{hours * 3600:.0f} seconds"


def environment_facts(found: Environment, what: str) -> tuple[tuple[str, str], ...]:
    """Return hardware, operating system and versions as facts; each name begins with ``what``, such as ``Report``."""
    memory = "" if found.memory_bytes is None else f", {found.memory_bytes / 2**30:.1f} GiB of memory"
    return (
        (f"{what}, hardware", f"{found.processor}, {found.cores} cores{memory}; computed on {found.device}"),
        (f"{what}, system", found.operating_system),
        (f"{what}, versions", ", ".join(f"{name} {version}" for name, version in sorted(found.versions.items()))),
    )
