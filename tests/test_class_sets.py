import pytest

from promise_seg.checkpoint import load_checkpoint
from promise_seg.class_sets import is_class_set, read_class_set, write_class_set
from promise_seg.errors import CheckpointError


def test_classes_are_noted_and_never_changed(tmp_path):
    assert not is_class_set(tmp_path)
    write_class_set(tmp_path, [1, 3])
    write_class_set(tmp_path, [1, 3])
    assert is_class_set(tmp_path)
    assert read_class_set(tmp_path) == [1, 3]
    with pytest.raises(CheckpointError, match="contains models of the classes 1, 3, but the masks now have 1, 2"):
        write_class_set(tmp_path, [1, 2])


def test_damage_is_said(tmp_path):
    (tmp_path / "classes.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"classes\.json: damaged"):
        read_class_set(tmp_path)


def test_one_model_cannot_be_meant_by_several(tmp_path):
    write_class_set(tmp_path, [1, 3])
    with pytest.raises(CheckpointError, match="Give the folder of one of them: class-1, class-3"):
        load_checkpoint(tmp_path)


def test_one_model_for_all_classes_is_noted_and_never_mixed_with_others(tmp_path):
    write_class_set(tmp_path / "one", [1, 3], one_model=True)
    write_class_set(tmp_path / "one", [1, 3], one_model=True)
    assert read_class_set(tmp_path / "one") == [1, 3]
    with pytest.raises(CheckpointError, match="contains one model for all classes; give --one-model"):
        write_class_set(tmp_path / "one", [1, 3])
    write_class_set(tmp_path / "each", [1, 3])
    with pytest.raises(CheckpointError, match="contains a model for each class, trained one by one; leave --one-model"):
        write_class_set(tmp_path / "each", [1, 3], one_model=True)
