"""Labels that a sidecar names: not written down without the file, and traced back to it."""

from __future__ import annotations

import shutil


def test_labels_that_are_not_there(kvis, tiny_model, picture, tmp_path):
    model = tmp_path / "tiny.keras"
    shutil.copy(tiny_model, model)
    sidecar = tmp_path / "tiny.kvis.yaml"
    ran = kvis("init-sidecar", model, "--labels", tmp_path / "gone.txt")
    assert ran.code == 2 and "Cannot read the label file" in ran.err
    assert not sidecar.exists()

    sidecar.write_text("labels: gone.txt\n")
    ran = kvis("cam", model, picture, "-o", tmp_path / "out")
    assert ran.code == 2
    assert f"It is named in {sidecar}" in ran.err

    (tmp_path / "gone.txt").write_text("ape\nbear\ncat\n")
    assert kvis("init-sidecar", model, "--labels", tmp_path / "gone.txt", "--force").code == 0
    ran = kvis("cam", model, picture, "-c", "bear", "-o", tmp_path / "out")
    assert ran.code == 0 and "photo_gradcam_1-bear.png" in ran.out
