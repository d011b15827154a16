"""The channels that paired images have in files of their own."""

import json

import pytest

from promise_seg.cli.main import main
from promise_seg.curation.pairing.folders import pair_folder


@pytest.fixture
def lay(tmp_path):
    def files(*names):
        for name in names:
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path / "data"

    return files


NNUNET = ("imagesTr/a_0000.png", "imagesTr/a_0001.png", "imagesTr/b_0000.png", "labelsTr/a.png", "labelsTr/b.png")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (NNUNET, "0000 0001"),
        (("B/1/1_flair.nii", "B/1/1_t2.nii", "B/1/1_seg.nii", "B/1/1_t1.nii"), "flair t1 t2"),
        (("G-1/G-1-t2f.nii.gz", "G-1/G-1-t1c.nii.gz", "G-1/G-1-t2w.nii.gz", "G-1/G-1-seg.nii.gz"), "t2f t1c t2w"),
        (("images/a.png", "masks/a.png"), ""),
        (("images/a_0000.png", "images/a_0001.png", "masks/a_0000.png", "masks/a_0001.png"), ""),
    ],
)
def test_the_channels_of_published_sets(lay, files, expected):
    channels = pair_folder(lay(*files)).channels
    assert ("" if channels is None else " ".join(channels.names)) == expected


def test_what_is_said_of_channels(lay, tmp_path, capsys):
    folder = lay(*NNUNET)
    for description, listed in (
        ({"channel_names": {"0": "T2", "1": "ADC"}}, "0000 T2, 0001 ADC"), ({"modality": {"0": "CT"}}, "0000 CT, 0001"),
        ({}, "0000, 0001"), ({"channel_names": ["T2"]}, "0000, 0001"), ([], "0000, 0001"),
    ):  # fmt: skip
        (folder / "dataset.json").write_text("\ufeff" + json.dumps(description))  # as Windows may write it
        assert main(["data", "make", str(folder), "-o", str(tmp_path / "set.csv"), "--force"]) == 0
        said = capsys.readouterr()
        assert (
            f"channels: 2 files for each image ({listed}). The column image_name has the files of "
            "0000, the only channel that is read unless you choose others, as in --channels 0000,0001\n"
        ) in said.out
        assert "1 image(s) lack a channel that others have (0000, 0001): b_0000.png" in said.err.replace("\n", " ")
    assert "a_0000.png,train" in (tmp_path / "set.csv").read_text()
