from promise_seg.checkpoint import save_checkpoint
from promise_seg.workflows.one_run import Trained
from tests.helpers import make_model


def test_a_run_whose_map_makes_the_masks_alone_notes_it(tiny_sam, tmp_path):
    model = make_model(tiny_sam)
    for share, noted in ((0.5, False), (1.0, True)):
        model.config = model.config.model_copy(update={"map_share": share})
        save_checkpoint(model, tmp_path / "run/best")
        lines = Trained(tmp_path / "run", 0, {}, None).lines
        assert any("saliency map alone" in line for line in lines) is noted
