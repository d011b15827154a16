"""The differences between our own way of training and scoring and that of the published reference."""

from promise_seg.vocabulary import Protocol


def training_deviations(protocol: Protocol) -> tuple[str, ...]:
    """Return how training by ``protocol`` differs from our own, one line per difference."""
    if protocol == Protocol.OWN:
        return ()
    return (
        "loss: on SAM's first mask alone, with a second sigmoid on its probabilities (ours: all three masks, logits)",
        "optimizer: Adam, constant learning rate 1e-5, batches of 8, 200 epochs, gradients as they are, unless given "
        "otherwise (ours: AdamW, 5e-4 with warm-up and cosine decay, clipped gradients; batches of 8 and 20 to 60 "
        "epochs with the APM pretrained, batches of 16 and 40 epochs otherwise)",
        "input: the black border cut away, padded on both sides to a square, then resized (ours: stretched)",
        "views: a new one of each image in each epoch, encoded on the spot; the reference's changes, each with "
        "probability 0.25, rebuilt with MONAI's transforms in strengths that it does not state, unless given otherwise "
        "(ours: 8 stored views, most changes in each, and new views for the maps of the APM pretrained)",
        "APM: no loss on the points themselves, and apm+ips learns from its own points alone (ours: a point loss, and "
        "oracle points as well)",
        "choice of the epoch: by the reference's scores on the val rows, never on test rows (the reference: on test)",
        "features: in half precision, as in all our runs (the reference: single precision)",
        *evaluation_deviations(protocol),
    )


def evaluation_deviations(protocol: Protocol) -> tuple[str, ...]:
    """Return how scores by ``protocol`` differ from our own, one line per difference."""
    if protocol == Protocol.OWN:
        return ()
    return (
        "scores: at 256 px, and every truth pixel above 0 after a bilinear shrink counts (ours: each image's own size)",
        "masks: the first of three, unless --mask names another, opened with a 5 x 5 kernel (ours: chosen on val rows, "
        "as it is)",
        "MAE: of the opened mask (ours: of the probabilities)",
        "oracle points: one random stream over the rows in their order (ours: fixed for each image, so that models "
        "are compared on the same points)",
    )
