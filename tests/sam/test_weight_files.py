import gzip
import io
import json
import tarfile

import pytest
import torch
from safetensors.torch import save_file

from promise_seg.errors import CheckpointError
from promise_seg.sam.loading import load_sam
from promise_seg.sam.weight_files import WeightFormat, weight_format


def tar():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as file:
        file.addfile(tarfile.TarInfo("weights.pth"), io.BytesIO())
    return data.getvalue()


NO_WEIGHTS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 375042383\n": (
        r"pointer of Git LFS to the weights of 375,042,383 bytes, .* Get them with: git lfs pull"
    ),
    b"version https://git-lfs.github.com/spec/v1\n": "pointer of Git LFS to the weights, not the weights",
    b"<!DOCTYPE html><html>Quota exceeded</html>": r"a web page, not weights.*Open the link in a browser",
    b"\xef\xbb\xbf\n  <HTML><body>Sign in</body>": "a web page, not weights",
    b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>": "a web page, not weights",
    json.dumps({"message": "Not Found", "documentation_url": "x" * 3000}).encode(): "it is JSON",
    b'[{"error": "gated"}]': "it is JSON",
    gzip.compress(b"weights"): "a gzip archive. Unpack it",
    b"7z\xbc\xaf\x27\x1c\0\4": "a 7-Zip archive. Unpack it",
    tar(): "a tar archive. Unpack it",
    b"": "it is empty. Download it again",
}


@pytest.mark.parametrize("name", ["sam.pth", "sam.safetensors", "sam.bin", "sam"])
@pytest.mark.parametrize(("content", "words"), NO_WEIGHTS.items(), ids=range(len(NO_WEIGHTS)))
def test_a_file_that_holds_no_weights_says_what_it_holds(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"{name}: cannot be read: .*{words}"):
        load_sam(str(path))


def test_formats_are_told_by_content_not_by_name(tmp_path):
    save_file({"a": torch.ones(2)}, tmp_path / "one.pth")
    torch.save({"a": torch.ones(2)}, tmp_path / "two.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    assert weight_format(tmp_path / "one.pth") == WeightFormat.SAFETENSORS
    assert weight_format(tmp_path / "two.safetensors") == WeightFormat.PICKLE
    assert weight_format(tmp_path / "old.pth") == WeightFormat.PICKLE


@pytest.mark.parametrize("name", ["none.pth", "none.safetensors"])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(CheckpointError, match=rf"{name}: no such file"):
        load_sam(str(tmp_path / name))


def test_a_folder_in_the_place_of_a_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be read: Is a directory"):
        weight_format(tmp_path)
