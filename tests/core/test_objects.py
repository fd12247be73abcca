"""A store behind a URL: what was put comes back, damage is found, locks hold among processes, and full, read-only or unknown places are clear errors."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from genscope.core import lease
from genscope.core.errors import MissingError, StoreError, UsageError
from genscope.core.objects import Objects
from genscope.core.store import Store, home
from tests.core.s3 import Bucket, serving

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Bucket]:
    pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as patch, serving() as server:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for name, value in (("ACCESS_KEY_ID", "k"), ("SECRET_ACCESS_KEY", "s"), ("DEFAULT_REGION", "us-east-1"), ("MAX_ATTEMPTS", "1")):
            patch.setenv(f"AWS_{name}", value)
        for name in ("REQUEST_CHECKSUM_CALCULATION", "RESPONSE_CHECKSUM_VALIDATION"):
            patch.setenv(f"AWS_{name}", "when_required")
        yield server


@pytest.fixture(params=["memory", "file", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "s3":
        request.getfixturevalue("bucket").refuse = ""
    named = {"memory": f"memory://{uuid4().hex}", "file": f"file://{tmp_path}/shared", "s3": f"s3://bucket/{uuid4().hex}/"}[request.param]
    monkeypatch.setenv("GENSCOPE_HOME", named)
    return named


def test_a_store_behind_a_url_is_a_store(url: str) -> None:
    store = Store.open()
    key = store.key("k", {"a": 1})
    assert (store.get(key), store.has(key)) == (None, False)
    store.put(key, {"x": [1, "é\ud800"]})
    store.put(key, {"x": [1, "é\ud800"]})
    assert (store.get(key), store.has(key)) == ({"x": [1, "é\ud800"]}, True)
    arrays = {"w": np.arange(6.0).reshape(2, 3)}
    store.put_arrays(store.key("k", 2), arrays, {"loss": 0.5})
    found = store.get_arrays(store.key("k", 2))
    assert found is not None
    assert (found[0]["w"] == arrays["w"]).all()
    assert found[1] == {"loss": 0.5}
    count, size = store.size()
    assert count == 3
    assert size > 48
    assert not [blob for blob in store.place.blobs() if not blob.value]
    assert store.prune(-1)[0] == 3
    assert store.size() == (0, 0)
    assert "://" not in str(home())


def test_a_damaged_object_counts_as_missing_and_is_removed(url: str) -> None:
    store = Store.open()
    key = store.key("k", 1)
    store.put(key, "value")
    store.place.write(f"{key[:2]}/{key}.json", (store.place.read(f"{key[:2]}/{key}.json") or b"").replace(b"value", b"valve"))
    assert store.get(key) is None
    assert store.damaged == [key]
    assert not store.has(key)
    store.put_arrays(key, {"w": np.ones(3)}, {})
    store.place.write(f"{key[:2]}/{key}.npz", b"half")
    assert store.get_arrays(key) is None


def test_one_at_a_time_holds_a_key(url: str) -> None:
    store, inside, most = Store.open(), [], []

    def hold() -> None:
        with Store.open().alone("key"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]
    assert list(store.place.blobs()) == []


def test_a_holder_that_died_is_waited_for_so_long_and_no_longer(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open()
    assert isinstance(store.place, Objects)
    store.place.write("locks/key", b"somebody 7")
    monkeypatch.setattr(lease, "PATIENCE", 0.4)
    began = time.monotonic()
    with store.alone("key"):
        assert 0.4 < time.monotonic() - began < 5
        time.sleep(0.3)  # longer than a renewal
        held = store.place.read("locks/key") or b""
        assert held.split()[1] != b"0"
    assert store.place.read("locks/key") is None


def test_processes_share_a_store_behind_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_HOME", f"file://{tmp_path}/shared")
    code = (
        "from genscope.core.store import Store\n"
        "s = Store.open()\n"
        "for i in range(20):\n"
        "    k = s.key('k', i % 10); v = s.get(k); assert v in (None, [i % 10] * 500), v; s.put(k, [i % 10] * 500)\n"
        "with s.alone('count'): s.put(s.key('n', 0), (s.get(s.key('n', 0)) or 0) + 1)\n"
        "assert not s.damaged"
    )
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [one.wait() for one in running] == [0, 0]
    store = Store.open()
    assert store.size()[0] == 11
    assert store.get(store.key("n", 0)) == 2
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("why", ["AccessDenied", "QuotaExceeded"])
def test_a_read_only_or_full_object_store_is_a_clear_error(why: str, bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENSCOPE_HOME", "s3://bucket/full")
    store = Store.open()
    bucket.refuse = ""
    store.put(store.key("k", 1), 1)
    bucket.refuse = why
    with pytest.raises(StoreError, match=r"cannot write s3://bucket/full/store/.*what was finished before is kept"):
        store.put(store.key("k", 2), 2)
    with pytest.raises(StoreError, match="cannot write s3://bucket/full/store/locks"), store.alone("key"):
        pass
    assert store.get(store.key("k", 1)) == 1
    bucket.refuse = ""


def test_a_server_that_is_not_there_is_a_clear_error(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as gone:
        port = gone.server_port
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("GENSCOPE_HOME", "s3://gone/x")
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    store = Store.open()
    with pytest.raises(StoreError, match="cannot read s3://gone/x"):
        store.get(store.key("k", 1))
    fsspec.get_filesystem_class("s3").clear_instance_cache()


@pytest.mark.parametrize(
    ("named", "error", "said"),
    [
        ("s4://bucket", UsageError, "Name a folder, or a URL such as s3://"),
        ("ftps://me:secret@host/x", (UsageError, MissingError), "ftps://host/x"),
    ],
)
def test_an_unknown_address_is_a_clear_error_without_secrets(
    named: str, error: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENSCOPE_HOME", named)
    with pytest.raises(error, match=said) as caught:
        Store.open()
    assert "secret" not in str(caught.value)


def test_fsspec_is_imported_for_addresses_only(tmp_path: Path) -> None:
    code = "import sys; from genscope.core.store import Store; s = Store.open(); s.put('ab', 1); s.get('ab'); sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
