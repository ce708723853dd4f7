"""A prepared set in an S3-compatible store: read by ranges, kept locally, through bad connections."""

import csv
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
from collections import Counter

import boto3
import numpy as np
import pytest
from moto.server import ThreadedMotoServer

from videolit import ActionDataModule, ClipSpec, cli
from videolit.data import storage
from videolit.data.listing import read_manifest
from videolit.data.prepare import prepare
from videolit.data.prepared import PreparedSpec
from videolit.data.storage import BLOCK, BlockCache, Remote, fetch
from videolit.types import InputError, StorageError

CLIP = ClipSpec(num_frames=4, size=24, resize=32)
URL = "s3://films/sets/tiny"


class Proxy:
    """Stands before the server, counts connections' requests and cuts some of the answers."""

    def __init__(self, port):
        self.behind = port
        self.cuts = 0
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.behind))
            threading.Thread(target=self.ask, args=(client, server), daemon=True).start()
            threading.Thread(target=self.answer, args=(server, client), daemon=True).start()

    def ask(self, client, server):
        while data := self.receive(client):
            if data.startswith((b"GET", b"HEAD", b"POST")):
                self.requests.append(data.split(b"\r\n")[0].decode())
            server.sendall(data)
        self.close(client, server)

    def answer(self, server, client):
        while data := self.receive(server):
            if self.cuts and len(data) > 2000:
                self.cuts -= 1
                client.sendall(data[:1000])
                break
            try:
                client.sendall(data)
            except OSError:
                break
        self.close(client, server)

    @staticmethod
    def receive(one):
        try:
            return one.recv(1 << 16)
        except OSError:
            return b""

    @staticmethod
    def close(*both):
        for one in both:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


@pytest.fixture(scope="module")
def store(tiny_set, tmp_path_factory):
    """A real server with the tiny set in it; returns the proxy before it and the local set."""
    out = tmp_path_factory.mktemp("store") / "tiny"
    manifest = read_manifest(tiny_set)
    list(prepare(manifest, out, PreparedSpec(short_side=32), shard_bytes=60_000))
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    settings = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        # Made for another server by a test before.
        storage._file_system.cache_clear()
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        client = boto3.client("s3")
        client.create_bucket(Bucket="films")
        for path in out.iterdir():
            client.upload_file(str(path), "films", f"sets/tiny/{path.name}")
        yield proxy, out
        storage._file_system.cache_clear()
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "_PAUSE", 0.01)
    monkeypatch.setenv("VIDEOLIT_CACHE", str(tmp_path / "cache"))


def module(root, **settings):
    chosen = {"clip": CLIP, "batch_size": 4, "num_workers": 0, "seed": 1, **settings}
    return ActionDataModule(str(root), **chosen)


def clips(root, **settings):
    data = module(root, **settings)
    data.setup("fit")
    batches = list(data.train_dataloader())
    return np.concatenate([batch["video"].numpy() for batch in batches])


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_clips_as_from_the_disk(workers, store, tmp_path):
    proxy, local = store
    expected = clips(local)
    found = clips(URL, num_workers=workers)
    assert np.array_equal(found, expected)
    # What was read lies on the disk now.
    proxy.requests.clear()
    assert np.array_equal(clips(URL, num_workers=workers), expected)
    assert not [line for line in proxy.requests if ".tar" in line]


def test_it_is_named_and_split_as_on_the_disk(store):
    data, local = module(URL), module(store[1])
    for one in (data, local):
        one.setup("fit")
        one.setup("test")
    assert data.describe("test") == local.describe("test")
    assert data.is_prepared
    assert data.manifest("train").place(0).startswith(f"{URL}/shard-")


@pytest.mark.filterwarnings("ignore:cannot read")
def test_dropped_connections_cost_time_only(store):
    proxy, local = store
    proxy.cuts = 12
    assert np.array_equal(clips(URL), clips(local))
    assert proxy.cuts == 0


def test_without_a_cache_nothing_is_kept(store, tmp_path):
    assert np.array_equal(clips(URL, cache_gb=0), clips(store[1]))
    assert not list(tmp_path.rglob("*.block"))


def test_the_cache_keeps_to_its_limit(store, tmp_path):
    limit = 150_000
    expected = clips(store[1])
    for _ in range(2):
        assert np.array_equal(clips(URL, cache_gb=limit / 1e9), expected)
        kept = [path.stat().st_size for path in tmp_path.rglob("*.block")]
        assert 0 < sum(kept) <= limit
        assert int(next(tmp_path.rglob("bytes")).read_text()) == sum(kept)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("s3://films/sets/none", "has no prepared.json: expected a folder that"),
        ("s3://nothing/at/all", "has no prepared.json"),
        ("nostore://x/y", "cannot read nostore:// addresses"),
    ],
)
def test_what_is_not_there_is_told(url, message, store, capsys):
    arguments = ["fit", "--config", "action/small_cnn_rnn", "--data.root", url]
    assert cli.main([*arguments, "--trainer.default_root_dir", os.environ["VIDEOLIT_CACHE"]]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_tar_file_that_is_gone_ends_the_run_by_its_name(workers, store, tmp_path, capsys):
    """It is no broken video, in whose place another one could be taken."""
    client = boto3.client("s3")
    for path in store[1].iterdir():
        if path.name != "shard-000001.tar":
            client.upload_file(str(path), "films", f"sets/torn/{path.name}")
    arguments = ["fit", "--config", "action/small_cnn_rnn", "--data.root", "s3://films/sets/torn"]
    arguments += ["--data.clip.size", "24", "--data.clip.resize", "32"]
    arguments += ["--data.num_workers", workers, "--trainer.default_root_dir", str(tmp_path)]
    arguments += ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err
    assert (
        "videolit: error: cannot read s3://films/sets/torn/shard-000001.tar: FileNotFound" in said
    )
    assert "Traceback" not in said


TWO_PROCESSES = """
import csv, sys
import lightning.pytorch as pl
from videolit.callbacks.context import callbacks_of
from videolit.cli import resolve_configs
from videolit.commands import trainer

class Seen(pl.Callback):
    def on_train_batch_start(self, run, task, batch, step):
        with open(f"{sys.argv[1]}/{run.global_rank}.csv", "a", newline="") as file:
            rows = zip(batch["video_id"], batch["sample_mask"].tolist())
            csv.writer(file).writerows((run.current_epoch, *row) for row in rows)

class Watched(trainer.VideolitCLI):
    def before_fit(self):
        super().before_fit()
        callbacks_of(self.trainer).append(Seen())

trainer.quieten()
Watched(["fit", *resolve_configs(sys.argv[2:])])
"""


def test_two_processes_see_each_sample_once_an_epoch(store, tmp_path):
    (tmp_path / "run.py").write_text(TWO_PROCESSES)
    (tmp_path / "seen").mkdir()
    command = [sys.executable, str(tmp_path / "run.py"), str(tmp_path / "seen")]
    command += ["--config", "action/small_cnn_rnn", "--data.root", URL, "--data.num_workers", "1"]
    command += ["--data.batch_size", "2", "--trainer.max_epochs", "2", "--trainer.devices", "2"]
    command += ["--trainer.accelerator", "cpu", "--trainer.strategy", "ddp"]
    command += ["--trainer.default_root_dir", str(tmp_path), "--data.clip.num_frames", "4"]
    command += ["--trainer.enable_progress_bar", "false"]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-30000:]
    data = module(URL, seed=0)
    data.setup("fit")
    names = {data.manifest("train").video_id(row) for row in range(len(data.manifest("train")))}
    seen = {"0": Counter(), "1": Counter()}
    for rank in (0, 1):
        with (tmp_path / f"seen/{rank}.csv").open() as file:
            for epoch, name, counts in csv.reader(file):
                if counts == "True":
                    seen[epoch][name] += 1
    for counted in seen.values():
        assert counted == dict.fromkeys(names, 1)


def test_commands_that_need_files_say_so(capsys):
    for command in (["check", URL], ["prepare", URL, "--out", "y"]):
        assert cli.main(command) == 2
        assert f"{URL} is an address: of those only what" in capsys.readouterr().err


# The parts by themselves.


class Flaky:
    """A file system that fails so many times."""

    def __init__(self, failures, error=ConnectionResetError):
        self.left = failures
        self.error = error

    def cat_file(self, url, start=None, end=None):
        self.left -= 1
        if self.left >= 0:
            raise self.error("dropped")
        return bytes(range(200))[start:end]


@pytest.fixture
def flaky(monkeypatch):
    def put(failures, error=ConnectionResetError):
        system = Flaky(failures, error)
        monkeypatch.setattr(storage, "_file_system", lambda process, protocol: system)
        return system

    return put


def test_a_request_is_made_again(flaky):
    flaky(5)
    with pytest.warns(
        UserWarning, match="cannot read s3://b/x: Conn.*dropped; trying again"
    ) as told:
        assert fetch("s3://b/x", 10, 20) == bytes(range(10, 20))
    assert len(told) == 1


@pytest.mark.filterwarnings("ignore:cannot read")
def test_a_store_that_stays_away_is_told(flaky):
    flaky(6)
    with pytest.raises(StorageError, match=r"cannot read s3://b/x: Conn.*dropped \(6 tries\)"):
        fetch("s3://b/x")


@pytest.mark.filterwarnings("ignore:cannot read")
def test_a_short_answer_is_no_answer(flaky):
    flaky(0)
    with pytest.raises(StorageError, match="it ends after 10 bytes, 20 were expected"):
        fetch("s3://b/x", 190, 300, least=20)


def test_what_is_forbidden_is_not_tried_again(flaky):
    system = flaky(1, PermissionError)
    with pytest.raises(StorageError, match="PermissionError"):
        fetch("s3://b/x")
    assert system.left == 0


def test_a_missing_package_is_named(monkeypatch):
    import fsspec

    storage._file_system.cache_clear()

    def missing(protocol):
        raise ImportError("Install s3fs")

    monkeypatch.setattr(fsspec, "filesystem", missing)
    with pytest.raises(InputError, match=r"pip install 'videolit\[s3\]'"):
        fetch("s3://b/x")


@pytest.fixture
def large(monkeypatch):
    """An object of three and a half blocks."""
    content = np.random.default_rng(0).bytes(BLOCK * 7 // 2)
    asked = []

    class System:
        def cat_file(self, url, start=None, end=None):
            asked.append((start, end))
            return content[start:end]

    monkeypatch.setattr(storage, "_file_system", lambda process, protocol: System())
    return content, asked


@pytest.mark.parametrize("limit", [0, 10 * BLOCK])
def test_any_part_of_a_part(limit, large, tmp_path):
    content, asked = large
    begin, size = BLOCK // 2, 3 * BLOCK
    part = content[begin : begin + size]
    rng = np.random.default_rng(1)
    for _ in range(2):
        one = Remote("s3://b", str(tmp_path), limit).content("x", begin, size)
        for _ in range(50):
            offset, length = (int(n) for n in rng.integers(0, size + 100, 2))
            assert one.read(offset, length) == part[offset : offset + length]
        one.close()
    assert len(asked) <= 4 * (1 if limit else 2), "each block was fetched once"


def test_new_content_at_an_old_address_is_read(large, tmp_path):
    content, asked = large
    for version in ("1", "1", "2"):
        one = Remote("s3://b", str(tmp_path), 10 * BLOCK, version).content("x", 0, 100)
        assert one.read(0, 100) == content[:100]
        one.close()
    assert len(asked) == 2


def test_a_block_that_is_too_short_is_fetched_again(large, tmp_path):
    content, asked = large
    remote = Remote("s3://b", str(tmp_path), 10 * BLOCK)
    one = remote.content("x", 0, 100)
    one.read(0, 100)
    one.close()
    (path,) = tmp_path.rglob("*.block")
    path.write_bytes(path.read_bytes()[:200])
    one = remote.content("x", 0, 1000)
    assert one.read(0, 1000) == content[:1000]
    one.close()
    assert len(asked) == 2


def test_what_is_expected_comes_in_few_requests(large, tmp_path):
    content, asked = large
    one = Remote("s3://b", str(tmp_path), 10 * BLOCK).content("x", 0, len(content))
    one.expect([(10, 20), (BLOCK + 5, 10), (3 * BLOCK + 1, 1)])
    assert asked == [(0, 2 * BLOCK), (3 * BLOCK, 4 * BLOCK)]
    assert one.read(BLOCK + 5, 10) == content[BLOCK + 5 : BLOCK + 15]
    assert len(asked) == 2
    one.close()


def test_the_least_recently_used_goes_first(tmp_path):
    cache = BlockCache(tmp_path, 1000)
    for number in range(9):
        cache.keep("s3://b/x", number, bytes([number]) * 100)
        os.utime(cache._path("s3://b/x", number), ns=(number, number))
    cache.open("s3://b/x", 0).close()
    cache.keep("s3://b/x", 9, bytes(100))
    cache.keep("s3://b/x", 10, bytes(100))
    kept = [number for number in range(11) if cache.open("s3://b/x", number)]
    assert kept == [0, *range(2, 11)]
    cache.keep("s3://b/x", 11, bytes(1001))
    assert cache.open("s3://b/x", 11) is None


def test_a_lost_count_is_made_again(tmp_path):
    cache = BlockCache(tmp_path, 1000)
    for number in range(5):
        cache.keep("s3://b/x", number, bytes(200))
    (tmp_path / "bytes").write_text("what?")
    cache.keep("s3://b/x", 5, bytes(200))
    kept = [path.stat().st_size for path in tmp_path.rglob("*.block")]
    assert sum(kept) <= 1000
    assert int((tmp_path / "bytes").read_text()) == sum(kept)


def fill(folder, process):
    cache = BlockCache(folder, 50_000)
    for number in range(200):
        cache.keep(f"s3://b/{process}", number, bytes(1000))
        if (file := cache.open(f"s3://b/{process}", number)) is not None:
            assert file.read() == bytes(1000)
            file.close()


def test_processes_share_the_limit(tmp_path):
    children = [multiprocessing.Process(target=fill, args=(tmp_path, n)) for n in range(4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        assert child.exitcode == 0
    kept = [path.stat().st_size for path in tmp_path.rglob("*.block")]
    assert 40_000 < sum(kept) <= 50_000
    assert int((tmp_path / "bytes").read_text()) == sum(kept)


def test_a_full_disk_costs_speed_only(large, tmp_path, monkeypatch):
    content, _ = large

    def full(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.Path, "write_bytes", full)
    one = Remote("s3://b", str(tmp_path), 10 * BLOCK).content("x", 0, len(content))
    assert one.read(5, BLOCK) == content[5 : 5 + BLOCK]
    one.close()
    assert not list(tmp_path.rglob("*.block"))
