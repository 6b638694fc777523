"""Starting TensorFlow: quietly, and on the device that was asked for."""

from __future__ import annotations

import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kvis_cli.errors import DeviceError, UsageError
from kvis_cli.runtime.memory import importing


@dataclass(frozen=True)
class Device:
    """A chosen device.

    Attributes
    ----------
    name
        For ``tf.device``: ``/CPU:0``, ``/GPU:0``.
    label
        What people asked for and got: ``cpu``, ``gpu:1``.
    """

    name: str
    label: str


def check_device(text: str) -> tuple[str, int | None]:
    """Split a device option into kind and number, without TensorFlow.

    Parameters
    ----------
    text
        ``auto``, ``cpu``, ``cpu:N``, ``gpu`` or ``gpu:N``.

    Returns
    -------
    kind, number
        The number is None where none is given.

    Raises
    ------
    UsageError
        For anything but ``auto``, ``cpu``, ``cpu:N``, ``gpu``, ``gpu:N``.
    """
    match = re.fullmatch(r"(auto|cpu|gpu)(?::(\d+))?", text.strip().lower())
    if not match or (match[1] == "auto" and match[2]):
        raise UsageError(
            f"Device '{text}' is not known.", "", "Use auto, cpu, gpu or gpu:N; see `kvis devices`."
        )
    return match[1], int(match[2]) if match[2] else None


def set_environment() -> None:
    """Set the environment variables that TensorFlow reads once, when it is imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if platform.machine() in ("x86_64", "AMD64"):
        # TensorFlow takes oneDNN by itself only where there is AVX-512. Elsewhere it is twice as
        # fast, too, and without it there are no convolutions with the channels first.
        os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def import_tensorflow() -> None:
    """Import TensorFlow and Keras without their messages.

    Raises
    ------
    DeviceError
        When TensorFlow cannot be imported, with the end of its own message.
    """
    if "tensorflow" in sys.modules and "keras" in sys.modules:
        return
    set_environment()
    try:
        with _silent_stderr(), importing():
            import keras
            import tensorflow as tf
    except Exception as error:
        raise DeviceError(
            "TensorFlow cannot be started.",
            f"{type(error).__name__}: {' '.join(str(error).split())[-300:]}",
            "`kvis doctor` shows what is installed.",
        ) from error
    tf.get_logger().setLevel("ERROR")
    keras.utils.disable_interactive_logging()


def start(text: str) -> Device:
    """Import TensorFlow, choose the device, hide the others and let its memory grow.

    Parameters
    ----------
    text
        As for `check_device`; ``auto`` takes the first GPU, or the CPU where there is none.

    Returns
    -------
    Device
        Its name for TensorFlow and for messages.

    Raises
    ------
    DeviceError
        When the device is not there; the message lists what is.
    UsageError
        For text that is not a device.
    """
    kind, number = check_device(text)
    if kind == "cpu":
        os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    import_tensorflow()
    import tensorflow as tf

    with _silent_stderr():
        gpus = tf.config.list_physical_devices("GPU")
    if kind == "gpu" or (kind == "auto" and gpus):
        index = number or 0
        if index >= len(gpus):
            there = ["cpu", *(f"gpu:{i}" for i in range(len(gpus)))]
            raise DeviceError(
                f"There is no device '{text}'.",
                f"TensorFlow sees: {', '.join(there)}.",
                "`kvis devices` lists them; `kvis doctor` says what a GPU needs.",
            )
        _configure(lambda: tf.config.set_visible_devices(gpus[index], "GPU"))
        _configure(lambda: tf.config.experimental.set_memory_growth(gpus[index], True))
        return Device("/GPU:0", f"gpu:{index}")
    if gpus:
        _configure(lambda: tf.config.set_visible_devices([], "GPU"))
    index = number or 0
    cpus = tf.config.list_logical_devices("CPU")
    if index >= len(cpus):
        there = ["cpu"] if len(cpus) == 1 else [f"cpu:{i}" for i in range(len(cpus))]
        raise DeviceError(
            f"There is no device '{text}'.",
            f"TensorFlow sees: {', '.join(there + [f'gpu:{i}' for i in range(len(gpus))])}.",
            "`kvis devices` lists them.",
        )
    return Device(f"/CPU:{index}", f"cpu:{index}" if number is not None else "cpu")


def list_devices() -> list[dict[str, str]]:
    """Return what `--device` can name here: name, kind, description, memory in MiB where known."""
    import_tensorflow()
    import tensorflow as tf

    rows = []
    with _silent_stderr():
        cpus = tf.config.list_logical_devices("CPU")
        gpus = tf.config.list_physical_devices("GPU")
    for index in range(len(cpus)):
        name = "cpu" if len(cpus) == 1 else f"cpu:{index}"
        rows.append({"name": name, "kind": "CPU", "description": _cpu_name()})
    for index, gpu in enumerate(gpus):
        details = tf.config.experimental.get_device_details(gpu)
        rows.append(
            {
                "name": f"gpu:{index}",
                "kind": "GPU",
                "description": str(details.get("device_name", gpu.name)),
            }
        )
    return rows


def _cpu_name() -> str:
    return f"{os.cpu_count()} cores"


def _configure(change: Callable[[], None]) -> None:
    try:
        change()
    except RuntimeError:
        # Once TensorFlow runs, devices stay as they are: so it is inside a test or a notebook.
        return


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Drop what native code writes to file descriptor 2."""
    if os.environ.get("KVIS_TF_LOG"):
        yield
        return
    sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    with tempfile.TemporaryFile() as sink:
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
