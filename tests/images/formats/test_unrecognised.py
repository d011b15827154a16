import pytest

from promise_seg.errors import ImageError
from promise_seg.images.formats.opening import open_source


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.png", b"hello\n", r"its name ends in \.png, but its content is not PNG; it seems to be text\. Copy"),
        ("a.jpg", ("é" * 400).encode()[:511], "content is not JPG; it seems to be text"),
        ("a.nii.gz", b"\xff\xfe\x81\x00" * 9, r"content is not NII\.GZ\. Copy it again from its source, or save it as"),
        ("a.tif", b"<!DOCTYPE html><p>Log in", "content is not TIF; it seems to be a web page"),
        ("a.png", bytes(40), "it seems to be empty: it holds only zero bytes"),
        ("a.png", b"version https://git-lfs.github.com/spec/v1\n", r"a pointer of Git LFS\. Run git lfs pull$"),
    ],
)
def test_content_that_is_not_what_the_name_promises(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImageError, match=words) as raised:
        open_source(tmp_path / name)
    assert str(raised.value).startswith(f"{tmp_path / name}: not an image that can be read: ")
    assert ".avi" not in str(raised.value)


def test_a_name_without_a_known_suffix_is_answered_with_the_known_ones(tmp_path):
    (tmp_path / "a.xyz").write_text("hello")
    with pytest.raises(ImageError, match=r"not an image that can be read; expected one of \.avi, .*\.png"):
        open_source(tmp_path / "a.xyz")
