"""References on the host and the cache of their scores."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from pytest_tinyml.errors import ModelError, TinymlError, UnknownNameError, UnsupportedOperatorError, UsageError
from pytest_tinyml.references import arena, get_reference
from pytest_tinyml.references.base import CHUNK
from pytest_tinyml.references.cache import cached_scores, entry_dir
from pytest_tinyml.references.litert import LiteRtReference
from pytest_tinyml.references.tflm import TflmReference
from tests.processes import is_running
from tests.unit.tflite_models import Builder, dense, keras_mlp, record, softmax_model

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from pytest_tinyml.records import Model
    from pytest_tinyml.references.base import OnChunk

needs_tflm = pytest.mark.skipif(not arena.tflm_available(), reason="tflite-micro is published for Linux x86-64 only")
SAMPLES = 2500


@pytest.fixture(scope="module")
def model() -> Model:
    """Return a small model as Keras 3 writes it: [1, 4, 6] int8 to 5 classes."""
    return record(keras_mlp())


@pytest.fixture(scope="module")
def tensors() -> npt.NDArray[np.int8]:
    """Return input tensors: two full chunks and a half."""
    return np.random.default_rng(4).integers(-128, 128, (SAMPLES, 4, 6)).astype(np.int8)


def _direct(model: Model, tensors: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Run TensorFlow Lite Micro in this process, without anything of ours."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_bytes(model.data, arena_size=1 << 20)
    scores = np.empty((len(tensors), 5), np.int8)
    for row, tensor in zip(scores, tensors, strict=True):
        interpreter.set_input(tensor[None], 0)
        interpreter.invoke()
        row[:] = interpreter.get_output(0)[0]
    return scores


@needs_tflm
@pytest.mark.parametrize("jobs", [1, 2])
def test_tflm_scores(model: Model, tensors: npt.NDArray[np.int8], jobs: int) -> None:
    """Processes change nothing, and each chunk is reported once, at its place."""
    told: dict[int, bytes] = {}

    def on_chunk(start: int, scores: npt.NDArray[Any]) -> None:
        assert start not in told
        told[start] = scores.tobytes()

    expected = _direct(model, tensors)
    actual = TflmReference(jobs=jobs).scores(model, tensors, on_chunk=on_chunk)
    assert expected.tobytes() == actual.tobytes()
    pieces = {start: expected[start : start + CHUNK].tobytes() for start in range(0, SAMPLES, CHUNK)}
    assert pieces == told


@needs_tflm
def test_tflm_leaves_no_process(model: Model, tensors: npt.NDArray[np.int8], monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in the callback, as Ctrl-C would be, ends the processes too; the reference can be used again."""
    reference = TflmReference(jobs=2)
    started: list[Any] = []
    original = reference._start

    def start(*arguments: Any) -> Any:
        started.append(original(*arguments))
        return started[-1]

    monkeypatch.setattr(reference, "_start", start)

    def on_chunk(_start: int, _scores: npt.NDArray[Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reference.scores(model, tensors, on_chunk=on_chunk)
    assert started
    assert [True] * len(started) == [worker._process.poll() is not None for worker in started]
    assert (SAMPLES, 5) == reference.scores(model, tensors).shape


@needs_tflm
def test_tflm_closed_from_another_thread(model: Model) -> None:
    """Closing ends a long computation at once, with words that say so; closing twice is harmless."""
    reference = TflmReference(jobs=2)
    many = np.zeros((3_000_000, 4, 6), np.int8)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            reference.scores(model, many)
        except TinymlError as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    deadline = time.monotonic() + 20
    while not reference._workers and time.monotonic() < deadline:
        time.sleep(0.01)
    reference.close()
    reference.close()
    thread.join(20)
    assert not thread.is_alive()
    assert ["reference 'tflm' was closed while it computed"] == [str(error) for error in failures]


@needs_tflm
def test_worker_dies_with_its_parent(model: Model) -> None:
    """A worker whose parent was killed ends by itself, even in the middle of a request."""
    code = (
        "import os, struct, subprocess, sys\n"
        "data = open(sys.argv[1], 'rb').read()\n"
        "p = subprocess.Popen(sys.argv[2:] , stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "p.stdin.write(data + struct.pack('<I', 1000000) + bytes(24000000)); p.stdin.flush()\n"
        "p.stdout.read(4)\n"
        "print(p.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    path = model.path
    command = arena.worker_command("serve", 1 << 20, len(model.data))
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as file:
        file.write(model.data)
        file.flush()
        parent = subprocess.run(
            [sys.executable, "-c", code, file.name, *command], capture_output=True, timeout=60, check=False
        )
    assert parent.returncode == -9
    worker = int(parent.stdout)
    deadline = time.monotonic() + 60
    while is_running(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(worker)


@needs_tflm
def test_probe_reports_the_arena(model: Model) -> None:
    """Head and tail add up, and the report's size is enough while a quarter of it is not."""
    report = arena.probe_arena(model)
    assert report.used_bytes == report.head_bytes + report.tail_bytes
    assert report.parts["NodeAndRegistration struct"] > 0
    assert 1000 < report.used_bytes < report.arena_bytes
    again = arena.probe_arena(model, arena_bytes=2 * report.used_bytes + (1 << 16))
    assert (report.head_bytes, report.parts) == (again.head_bytes, again.parts)


@needs_tflm
def test_too_small_arenas_are_survived(model: Model) -> None:
    """From 64 bytes up, an arena that is too small is an error of ours and never the end of this process."""
    for size in range(64, 3072, 512):
        try:
            arena.probe_arena(model, arena_bytes=size)
        except ModelError as error:
            assert f"in an arena of {size:,} bytes" in str(error)  # noqa: PT017 - small sizes may succeed


@needs_tflm
def test_a_crash_is_survived(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that dies of SIGSEGV is reported with its signal, after the larger arenas were tried."""
    sizes = []

    def command(_mode: str, size: int) -> list[str]:
        sizes.append(size)
        return [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"]

    monkeypatch.setattr(arena, "worker_command", command)
    with pytest.raises(ModelError, match="killed by signal 11"):
        arena.probe_arena(model)
    assert sizes == sorted(set(sizes))
    assert sizes[-1] == arena.LARGEST_BYTES


@needs_tflm
def test_a_hang_is_bounded(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that never ends is given up."""
    monkeypatch.setattr(arena, "worker_command", lambda *_: [sys.executable, "-c", "import time; time.sleep(60)"])
    with pytest.raises(ModelError, match=r"did not end within 0\.3 s"):
        arena.probe_arena(model, timeout_s=0.3)


@needs_tflm
def test_tflm_names_the_operator_it_lacks() -> None:
    """The operator and its index in the graph come from TensorFlow Lite Micro's own words."""
    net = Builder()
    source = net.tensor([1, 6], scale=0.1)
    inner = dense(net, source, 4, 1)
    result = net.tensor([1, 4], scale=0.1)
    net.operator("REVERSE_SEQUENCE", [inner, inner], [result])
    model = record(net.finish(source, result), "odd")
    with pytest.raises(UnsupportedOperatorError, match=r"odd: operator 1 REVERSE_SEQUENCE .*engine 'tflm'"):
        TflmReference(jobs=1).scores(model, np.zeros((1, 6), np.int8))


def test_without_the_wheel(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tflite-micro is not installed, the message names the reference that is."""
    monkeypatch.setattr(arena, "find_spec", lambda _: None)
    assert not TflmReference.available()
    with pytest.raises(UsageError, match="use --tinyml-reference litert"):
        TflmReference().scores(model, np.zeros((1, 4, 6), np.int8))


@pytest.mark.parametrize("kernels", ["default", "reference"])
def test_litert_batches_change_nothing(
    model: Model, tensors: npt.NDArray[np.int8], kernels: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of 1,000 give the bytes of single samples, and batches are really used."""
    reference = LiteRtReference(kernels)
    batched = reference.scores(model, tensors)
    assert reference._batched(model, reference._interpreter(model, 1), tensors) is not None
    monkeypatch.setattr(reference, "_batched", lambda *_: None)
    assert batched.tobytes() == reference.scores(model, tensors).tobytes()


def test_litert_runs_a_model_with_a_fixed_batch() -> None:
    """A model with its batch of 1 built into a RESHAPE is run one by one."""
    net = Builder()
    source = net.tensor([1, 4, 6], scale=1 / 255, zero=-128)
    shape = net.tensor([2], kind=2, data=np.asarray([1, 24], np.int32))
    flat = net.tensor([1, 24], scale=1 / 255, zero=-128)
    net.operator("RESHAPE", [source, shape], [flat])
    model = record(net.finish(source, dense(net, flat, 5, 1)))
    tensors = np.random.default_rng(6).integers(-128, 128, (CHUNK + 1, 4, 6)).astype(np.int8)
    reference = LiteRtReference()
    assert reference._batched(model, reference._interpreter(model, 1), tensors) is None
    scores = reference.scores(model, tensors)
    assert scores[7].tobytes() == reference.scores(model, tensors[7:8])[0].tobytes()


def test_names() -> None:
    """Known names give references that carry them; others are refused with a suggestion."""
    assert ["tflm", "litert", "litert-ref"] == [get_reference(n).name for n in ("tflm", "litert", "litert-ref")]
    assert [True, False, False] == [get_reference(n).exact for n in ("tflm", "litert", "litert-ref")]
    with pytest.raises(UnknownNameError, match="did you mean 'tflm'"):
        get_reference("tfml")


class Counting:
    """A reference that adds up its input, and counts what it is asked."""

    name = "counting"
    exact = True
    runtime_version = "1"

    def __init__(self, fail_at: int | None = None) -> None:
        """Fail before this chunk."""
        self.asked = 0
        self.fail_at = fail_at

    def scores(
        self,
        model: Model,  # noqa: ARG002 - the protocol's
        tensors: npt.NDArray[Any],
        *,
        on_chunk: OnChunk | None = None,
    ) -> npt.NDArray[Any]:
        """Return five sums, in backward order of chunks."""
        result = np.repeat(tensors.reshape(len(tensors), -1).sum(axis=1, dtype=np.int8)[:, None], 5, axis=1)
        for done, start in enumerate(reversed(range(0, len(tensors), CHUNK))):
            if done == self.fail_at:
                raise KeyboardInterrupt
            self.asked += len(result[start : start + CHUNK])
            if on_chunk is not None:
                on_chunk(start, result[start : start + CHUNK])
        return result

    def close(self) -> None:
        """Nothing runs."""


def _cached(
    reference: Counting,
    model: Model,
    tensors: npt.NDArray[np.int8],
    folder: Path,
    samples: int = SAMPLES,
    key: str = "d",
) -> npt.NDArray[Any]:
    return cached_scores(
        reference, model, key, lambda start, stop: tensors[start:stop], samples=samples, cache_dir=folder
    )


def test_cache_computes_once(model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path) -> None:
    """The second call computes nothing and gives the same; another data set or model does not hit."""
    reference = Counting()
    expected = reference.scores(model, tensors)
    reference.asked = 0
    assert expected.tobytes() == _cached(reference, model, tensors, tmp_path).tobytes()
    assert expected.tobytes() == _cached(reference, model, tensors, tmp_path).tobytes()
    assert reference.asked == SAMPLES
    _cached(reference, model, tensors, tmp_path, key="other")
    _cached(reference, record(keras_mlp(softmax=False)), tensors, tmp_path)
    assert reference.asked == 3 * SAMPLES


def test_cache_keys(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runtime version, name and preprocessing are part of the key."""
    keys = {entry_dir(Counting(), model, "d", tmp_path)}
    monkeypatch.setattr(Counting, "runtime_version", "2")
    keys.add(entry_dir(Counting(), model, "d", tmp_path))
    monkeypatch.setattr(Counting, "name", "other")
    keys.add(entry_dir(Counting(), model, "d", tmp_path))
    raw = replace(model, preprocess=replace(model.preprocess, scale=1.0))
    keys.add(entry_dir(Counting(), raw, "d", tmp_path))
    assert len(keys) == 4


def test_cache_shares_chunks_between_limits(model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path) -> None:
    """A run of the first 1,500 leaves one full chunk for the run of all."""
    reference = Counting()
    _cached(reference, model, tensors, tmp_path, samples=1500)
    assert reference.asked == 1500
    whole = _cached(reference, model, tensors, tmp_path)
    assert reference.asked == 1500 + 1500
    assert Counting().scores(model, tensors).tobytes() == whole.tobytes()


def test_interrupted_computation_keeps_what_is_done(
    model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path
) -> None:
    """After an interruption only the missing chunks are computed."""
    with pytest.raises(KeyboardInterrupt):
        _cached(Counting(fail_at=2), model, tensors, tmp_path)
    reference = Counting()
    whole = _cached(reference, model, tensors, tmp_path)
    assert reference.asked == CHUNK
    assert Counting().scores(model, tensors).tobytes() == whole.tobytes()


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "foreign"])
def test_damaged_entries_are_computed_again(
    model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path, damage: str
) -> None:
    """A bit flipped, an end lost, nothing at all, another array: each is noticed, and repaired."""
    expected = _cached(Counting(), model, tensors, tmp_path).tobytes()
    victim = sorted(tmp_path.rglob("*.npy"))[1]
    data = bytearray(victim.read_bytes())
    data[-40] ^= 1
    (half := victim.with_name("half")).write_bytes(victim.read_bytes()[:600])
    last = sorted(tmp_path.rglob("*.npy"))[2].read_bytes()
    content = {"flip": bytes(data), "truncate": half.read_bytes(), "empty": b"", "foreign": last}[damage]
    half.unlink()
    victim.write_bytes(content)
    reference = Counting()
    assert expected == _cached(reference, model, tensors, tmp_path).tobytes()
    assert reference.asked == CHUNK
    assert expected == _cached(reference, model, tensors, tmp_path).tobytes()
    assert reference.asked == CHUNK


def test_unwritable_cache(model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path) -> None:
    """Without a place to write, scores are computed, and one warning says that they are not kept."""
    (tmp_path / "file").write_text("in the way")
    with pytest.warns(UserWarning, match="are not cached") as caught:
        scores = _cached(Counting(), model, tensors, tmp_path / "file")
    assert len(caught) == 1
    assert Counting().scores(model, tensors).tobytes() == scores.tobytes()


def test_hit_imports_no_runtime(model: Model, tensors: npt.NDArray[np.int8], tmp_path: Path) -> None:
    """A cached answer loads neither TensorFlow Lite Micro nor LiteRT."""
    reference = get_reference("litert")
    cached_scores(reference, model, "d", lambda a, b: tensors[a:b], samples=1, cache_dir=tmp_path)
    (tmp_path / "m.tflite").write_bytes(model.data)
    code = (
        "import sys, pickle\n"
        "from pathlib import Path\n"
        "from pytest_tinyml.references import get_reference\n"
        "from pytest_tinyml.references.cache import cached_scores\n"
        "model = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "cached_scores(get_reference('litert'), model, 'd', None, samples=1, cache_dir=Path(sys.argv[2]))\n"
        "print([m for m in ('tflite_micro', 'ai_edge_litert', 'bakenn') if m in sys.modules])\n"
    )
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "model.pickle"), str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_softmax_alone_runs_in_litert() -> None:
    """A model of one operator needs no special case."""
    model = record(softmax_model(1, 5, 0.1))
    scores = LiteRtReference().scores(model, np.zeros((2, 5), np.int8))
    assert [[-77] * 5] * 2 == scores.tolist()
