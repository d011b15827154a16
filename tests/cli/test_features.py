"""``promise features``, and what ``promise train`` says before it encodes."""

import pytest

from promise_seg.cli.main import main
from promise_seg.features.contents import shares_of
from tests.helpers import make_tiny_sam


@pytest.fixture
def sam_folder(tmp_path):
    make_tiny_sam().model.save_pretrained(tmp_path / "sam")
    return str(tmp_path / "sam")


@pytest.fixture
def options(sam_folder, tmp_path):
    return ["--sam", sam_folder, "--device", "cpu", "--views", "2", "--store", str(tmp_path / "store")]


def test_plan_train_status_prune(manifest, options, tmp_path, capsys):
    assert main(["features", "plan", str(manifest), "--variant", "ips", *options]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("features: 14 of 14 views are to be encoded into")
    assert "measured on 3" in printed.out

    train = ["train", str(manifest), "--epochs", "1", "--variant", "ips", "-o", str(tmp_path / "run"), *options]
    assert main(train) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "features: 11 of 14 views are to be encoded into" in printed
    assert "encoded 11 views" in printed
    (share,) = shares_of(tmp_path / "store")
    assert (share.entries, share.kind.tensors, share.kind.precision) == (14, ("embedding",), "fp16")

    assert main(["features", "plan", str(manifest), "--variant", "ips", *options]) == 0
    assert capsys.readouterr().out == f"features: all 14 views are in {tmp_path / 'store'}\n"
    assert main(["features", "status", "--store", str(tmp_path / "store")]) == 0
    printed = capsys.readouterr().out
    assert "embedding" in printed
    assert f"{tmp_path / 'store'}: 14 entries" in printed
    assert main(["features", "prune", "--to", "0B", "--store", str(tmp_path / "store")]) == 0
    assert "14 entries freed" in capsys.readouterr().out
    assert main(["features", "prune", "--to", "20", "--store", str(tmp_path / "store")]) == 2
    assert "--to 20: expected a size with its unit" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["status"], ["prune", "--to", "1GB"]])
def test_a_store_that_is_named_must_be_there(command, tmp_path, capsys):
    (tmp_path / "file").touch()
    for name, words in (("nowhere", "no such folder"), ("file", "is a file")):
        assert main(["features", *command, "--store", str(tmp_path / name)]) == 2
        assert f"--store {tmp_path / name}: {words}" in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.slow
def test_a_run_goes_on_with_the_precision_that_it_began_with(manifest, options, tmp_path, capsys):
    train = ["train", str(manifest), "--variant", "ips", "-o", str(tmp_path / "run"), *options]
    assert main([*train, "--epochs", "1", "--store-precision", "int8"]) == 0
    assert shares_of(tmp_path / "store")[0].kind.precision == "int8"
    capsys.readouterr()
    assert main([*train, "--epochs", "1"]) == 2
    assert "holds a run that differs in --store-precision" in " ".join(capsys.readouterr().err.split())
    assert main([*train, "--epochs", "1", "--store-precision", "int8"]) == 0


def test_a_disk_that_is_too_small_ends_training_before_it_begins(manifest, options, tmp_path, capsys, monkeypatch):
    from promise_seg.inference import planning

    monkeypatch.setattr(planning, "_free_bytes", lambda _: 100)
    assert main(["train", str(manifest), "--epochs", "1", "-o", str(tmp_path / "run"), *options]) == 2
    assert "Free space with promise features prune" in " ".join(capsys.readouterr().err.split())
    assert main(["features", "plan", str(manifest), *options]) == 0
    assert "warning: " in capsys.readouterr().err


def test_the_status_of_an_address_without_a_bucket_is_refused(capsys, monkeypatch):
    assert main(["features", "status", "--store", "s3://"]) == 2
    assert "--store s3://: expected an address such as s3://BUCKET/PREFIX" in capsys.readouterr().err
    monkeypatch.setenv("PROMISE_SEG_STORE", "gs://")
    assert main(["features", "status"]) == 2
    assert "PROMISE_SEG_STORE gs://: expected an address" in capsys.readouterr().err
