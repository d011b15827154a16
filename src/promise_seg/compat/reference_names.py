"""Names in checkpoints of the published ProMISe code, and ours."""

from promise_seg.sam.official import official_name

PREFIXES: tuple[tuple[str, str], ...] = (
    ("apm_feature_map.", "apm.feature_map."),
    ("apm_resnet.", "apm.resnet."),
    ("apm_cross.", "apm.cross."),
    ("apm_cross_prompt.", "apm.prompt."),
    ("ips_ffn.", "ips."),
)
"""Of the trained parts: the prefix there, and ours."""

SAM_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
IPS, OLD_IPS = "ips_ffn.", "ffn."
UNUSED = ("apm_resnet.fc2.", *(f"apm_cross.layers.{i}.norm2." for i in range(3)))
"""Parameters that the reference holds and never uses."""

EMBEDDED_CONFIG = "promise_seg.config"
"""Our config as bytes, in files that we write, so that nothing is lost on the way back. The reference ignores it."""


def name_in_reference(name: str) -> str:
    """What a trained parameter of ours is called in a reference checkpoint."""
    for theirs, ours in PREFIXES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return official_name(name.removeprefix("sam.model."))
