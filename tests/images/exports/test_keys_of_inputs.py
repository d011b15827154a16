"""Keys of many inputs are those of each, with links to folders resolved."""

import os

from promise_seg.images.exports.inputs import Input, keys_of


def test_keys_of_many_are_the_keys_of_each(tmp_path, monkeypatch):
    (tmp_path / "real" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    monkeypatch.chdir(tmp_path)
    names = ["a.png", "link/b.png", "link/deep/c.png", "link/deep/../d.png", "link/deep/..", os.fspath(tmp_path), "/"]
    inputs = [Input(tmp_path / "real" / "x.png", "x"), *(Input(type(tmp_path)(name), name) for name in names)]
    inputs += inputs
    assert list(keys_of(inputs)) == [one.key for one in inputs]
    assert list(keys_of(inputs))[2] == os.fspath(tmp_path / "real" / "b.png")
