"""The scripts of the docs for Slurm, on a real one."""

import csv
import shlex
import sys
from pathlib import Path

import pytest

from promise_seg.checkpoint import SAM_BESIDE, save_checkpoint
from promise_seg.images.exports.inputs import find_inputs
from promise_seg.prediction.folders import predict_folder
from promise_seg.workflows.predicting import load_labeller
from tests import slurm
from tests.documentation.pages import ROOT, read_page
from tests.helpers import make_model, make_tiny_sam
from tests.prediction.part_helpers import content, write_pictures

TASKS = 4


@pytest.fixture
def cluster(tmp_path):
    if reason := slurm.why_not():
        pytest.skip(reason)
    try:
        found = slurm.Slurm(tmp_path / "slurm")
    except slurm.DoesNotStart as reason:
        pytest.skip(f"Slurm does not start on this machine: {reason}")
    yield found
    found.close()


def scripts_of_the_docs():
    """The script of the job array, and the commands that submit it and merge its parts."""
    blocks = [block.code for block in read_page(ROOT / "docs/clusters.md").blocks]
    (script,) = [code for code in blocks if "#SBATCH" in code]
    (commands,) = [code for code in blocks if "sbatch " in code]
    return script, commands


@pytest.mark.slow
def test_a_job_array_with_a_task_that_is_preempted_ends_with_what_one_process_makes(cluster, tmp_path):
    model = make_model(make_tiny_sam())
    model.config = model.config.model_copy(update={"sam": SAM_BESIDE})
    save_checkpoint(model, tmp_path / "runs/first")
    images = write_pictures(tmp_path / "images", 3 * TASKS)
    predict_folder(load_labeller(str(tmp_path / "runs/first")), find_inputs([images]), tmp_path / "whole")
    program, go, out = tmp_path / "bin/promise", tmp_path / "go", tmp_path / "out"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tests.held_command "$@"\n')
    program.chmod(0o755)
    environment = {
        "PATH": f"{program.parent}:{cluster.environment['PATH']}", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}",
        "HELD_UNTIL": str(go), "SBATCH_ARRAY_INX": f"1-{TASKS}",
    }  # fmt: skip
    script, commands = (
        code.replace("/data/images", str(images)).replace("/data/out", str(out)) for code in scripts_of_the_docs()
    )
    (tmp_path / "predict.sh").write_text(script)
    array, merge = commands.splitlines()
    cluster.run("bash", "-ec", f"{array}\nunset SBATCH_ARRAY_INX\n{merge}", folder=tmp_path, **environment)

    def restarted():
        return [job for job in cluster.jobs() if job["Restarts"] != "0"]

    def noted():  # below the head of each log
        return [line for log in out.glob("parts/*.jsonl") for line in log.read_bytes().splitlines()[1:]]

    slurm.wait_until(lambda: len(noted()) == slurm.AT_ONCE)
    cluster.run("sbatch", "--partition=urgent", "--wrap=true", folder=tmp_path)
    slurm.wait_until(restarted)
    (preempted,) = restarted()
    go.touch()
    slurm.wait_until(cluster.is_done)

    logs = {path.name: path.read_text() for path in tmp_path.glob("slurm-*.out")}
    assert [job["JobState"] for job in cluster.jobs()] == ["COMPLETED"] * (TASKS + 2), logs
    (again,) = restarted()
    assert (again["JobId"], again["Restarts"]) == (preempted["JobId"], "1")
    log = (tmp_path / again["StdOut"]).read_text()
    assert "stopped by SIGTERM. No file is half-written" in log
    assert "Traceback" not in log
    assert "3 of 12 images, 3 of them to be predicted" in " ".join(log.split())
    assert "3 of 12 images, 2 of them to be predicted" in " ".join(log.split())
    with (out / "predictions.csv").open(newline="") as file:
        assert sorted(Path(line["image"]).stem for line in csv.DictReader(file)) == sorted(map(str, range(3 * TASKS)))
    assert content(out) == content(tmp_path / "whole")
    assert list((out / "parts/claims").iterdir()) == []
