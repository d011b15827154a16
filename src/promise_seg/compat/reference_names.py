"""The names of parameters in checkpoints of the published ProMISe code, and ours."""

from promise_seg.sam.official import official_name

PREFIXES: tuple[tuple[str, str], ...] = (
    ("apm_feature_map.", "apm.feature_map."),
    ("apm_resnet.", "apm.resnet."),
    ("apm_cross.", "apm.cross."),
    ("apm_cross_prompt.", "apm.prompt."),
    ("ips_ffn.", "ips."),
)
"""The prefixes of the trained parts: the reference's, and ours."""

SAM_PARTS = ("image_encoder.", "prompt_encoder.", "mask_decoder.")
IPS, OLD_IPS = "ips_ffn.", "ffn."
UNUSED = ("apm_resnet.fc2.", *(f"apm_cross.layers.{i}.norm2." for i in range(3)))
"""The prefixes of parameters that the reference contains but never uses."""

EMBEDDED_CONFIG = "promise_seg.config"
"""The key of our config, stored as bytes in files that we write to restore it later. The reference ignores it."""


OURS = "promise_seg."
"""The prefix of parameters that the reference does not have, in files that we write. The reference ignores them."""
_WITHOUT_PLACE = ("ips_given.", "quality.")


def name_in_reference(name: str) -> str:
    """Return the name of one of our trained parameters in a reference checkpoint."""
    if name.startswith(_WITHOUT_PLACE):
        return OURS + name
    for theirs, ours in PREFIXES:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return official_name(name.removeprefix("sam.model."))
