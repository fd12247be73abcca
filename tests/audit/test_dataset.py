"""Reading data sets: every form gives the same value, faults are counted or are one clear error, and nothing of the input changes."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from genscope.core.errors import DataError
from genscope.tasks.dataset import lines, read
from genscope.tasks.dataset.arrays import LARGEST
from genscope.tasks.dataset.value import PRINT_BYTES

ROWS = [
    {"id": f"r{k}", "text": f"the number {k % 3} is the number we see here", "label": "ab"[k % 2], "split": "train" if k < 4 else "test"}
    for k in range(6)
]


def write(path: Path, rows: list[dict[str, object]] = ROWS) -> Path:  # type: ignore[assignment]
    frame = pl.DataFrame(rows)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    name = path.name
    if name.endswith(".jsonl"):
        path.write_text(text)
    elif name.endswith(".jsonl.gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".json"):
        path.write_text(json.dumps(rows))
    elif name.endswith(".csv"):
        frame.write_csv(path)
    elif name.endswith(".tsv"):
        frame.write_csv(path, separator="\t")
    elif name.endswith(".parquet"):
        frame.write_parquet(path)
    else:
        frame.write_ipc_stream(path)
    return path


@pytest.mark.parametrize("name", ["d.jsonl", "d.jsonl.gz", "d.json", "d.csv", "d.tsv", "d.parquet", "d.arrow"])
def test_every_form_of_a_table_is_the_same_data(tmp_path: Path, name: str) -> None:
    data = read(write(tmp_path / name))
    assert (data.kind, data.rows) == ("text", 6)
    assert data.roles == {"text": "text", "label": "label", "split": "split", "id": "id"}
    assert data.guessed == {"text", "label", "split", "id"}
    assert data.column("label").to_list() == ["a", "b", "a", "b", "a", "b"]
    assert data.y.tolist() == [0, 1, 0, 1, 0, 1]
    assert data.codes("split")[1] == ("test", "train")
    assert data.ids([5, 0]) == {0: "r0", 5: "r5"}
    assert data.texts([4]) == {4: ROWS[4]["text"]}
    # rows 0 and 3, 1 and 4, 2 and 5 have equal texts
    assert data.prints["input"].to_list()[:3] == data.prints["input"].to_list()[3:]
    assert data.prints["length"].to_list() == [len(str(row["text"])) for row in ROWS]
    assert data.prints.estimated_size() / data.rows <= PRINT_BYTES


def test_frames_and_data_sets_in_memory() -> None:
    pandas = pytest.importorskip("pandas")
    datasets = pytest.importorskip("datasets")
    for source in (pl.DataFrame(ROWS), pl.LazyFrame(ROWS), pandas.DataFrame(ROWS), datasets.Dataset.from_list(ROWS), ROWS):
        data = read(source)
        assert (data.kind, data.rows, data.y.tolist()) == ("text", 6, [0, 1, 0, 1, 0, 1])
    both = datasets.DatasetDict(
        {
            "train": datasets.Dataset.from_list([{"text": "one two three four"}]),
            "test": datasets.Dataset.from_list([{"text": "five six seven eight"}]),
        }
    )
    assert read(both).codes("split")[1] == ("test", "train")
    missing = read(pandas.DataFrame({"text": ["a b c d", None], "label": [1, 0]}))
    assert missing.prints["blank"].to_list() == [False, True]


def test_a_saved_data_set_folder_and_a_folder_of_files(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    whole = datasets.Dataset.from_list(ROWS).remove_columns("split")
    datasets.DatasetDict({"train": whole.select(range(4)), "test": whole.select(range(4, 6))}).save_to_disk(str(tmp_path / "hub"))
    data = read(tmp_path / "hub")
    assert (data.rows, data.form, data.roles["split"]) == (6, "arrow", "file")
    assert data.codes("split")[1] == ("test", "train")
    (tmp_path / "many").mkdir()
    write(tmp_path / "many" / "train.jsonl", ROWS[:4])
    write(tmp_path / "many" / "test.jsonl", ROWS[4:])
    assert read(tmp_path / "many", {"split": "file"}).codes("split")[0].tolist() == [0, 0, 1, 1, 1, 1]


def test_arrays_of_every_form(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (6, 4, 4)).astype(np.uint8), np.array([0, 1, 2, 0, 1, 2])
    x[3] = x[0]
    np.savez(tmp_path / "one.npz", images=x, labels=y[:, None])
    np.savez(tmp_path / "two.npz", train_images=x[:4], train_labels=y[:4], test_images=x[4:], test_labels=y[4:])
    (tmp_path / "idx").mkdir()
    (tmp_path / "idx" / "train-images-idx3-ubyte").write_bytes(struct.pack(">HBB3I", 0, 8, 3, 6, 4, 4) + x.tobytes())
    (tmp_path / "idx" / "train-labels-idx1-ubyte").write_bytes(struct.pack(">HBBI", 0, 8, 1, 6) + y.astype(np.uint8).tobytes())
    for source in (tmp_path / "one.npz", tmp_path / "two.npz", tmp_path / "idx", (x, y), {"x": x, "y": np.eye(3)[y]}):
        data = read(source)
        assert data.kind == "arrays"
        assert (data.x == x).all()
        assert data.y.tolist() == y.tolist()
        assert data.prints["input"][0] == data.prints["input"][3] != data.prints["input"][1]
    assert read(tmp_path / "two.npz").codes("split")[0].tolist() == [1, 1, 1, 1, 0, 0]


def test_image_folders_skip_links_bombs_and_what_is_no_picture(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for split, name, k in (("train", "cat", 1), ("train", "dog", 2), ("test", "cat", 1)):
        folder = tmp_path / "set" / split / name
        folder.mkdir(parents=True)
        image.new("RGB", (40, 30), (k, 50 * k, 3)).save(folder / f"{k}.png")
    (tmp_path / "set" / "train" / "cat" / "no.png").write_text("no picture")
    (tmp_path / "set" / "train" / "loop").symlink_to(tmp_path / "set", target_is_directory=True)
    image.new("1", (9_000, 9_000)).save(tmp_path / "set" / "train" / "cat" / "bomb.png")
    data = read(tmp_path / "set")
    assert (data.rows, data.form, data.x.shape) == (3, "images", (3, 32, 32, 3))
    assert sorted(data.column("id").to_list()) == ["test/cat/1.png", "train/cat/1.png", "train/dog/2.png"]
    assert {fault.kind: fault.count for fault in data.faults} == {"no picture": 1, "link": 1, "too large": 1}
    assert data.codes("label")[1] == ("cat", "dog")
    assert data.prints["input"].n_unique() == 2


def test_response_matrices_long_and_wide(tmp_path: Path) -> None:
    wide = tmp_path / "wide.csv"
    wide.write_text("item1,item2,item3,count\n1,0,1,3\n0,0,1,2\n1,,0,1\n")
    data = read(wide)
    assert data.kind == "responses"
    found = data.responses()
    assert len(found) == 9
    assert (found["correct"] * found["weight"]).sum() == 3 + 3 + 2 + 1
    assert found["correct"].null_count() == 1
    long = read(pl.DataFrame({"solver": ["a", "a", "b"], "item": ["x", "y", "x"], "correct": [1, 0, 1]}))
    assert long.kind == "responses"
    assert long.responses()["correct"].to_list() == [1.0, 0.0, 1.0]
    named = read(pl.DataFrame({"student": ["a", "b"], "q1": [1, 0], "q2": [0, 0], "q3": [1, 1]}))
    assert named.responses().filter(pl.col("solver") == "a")["correct"].to_list() == [1.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"a": ["one two three four five"] * 9, "b": ["six seven eight nine ten"] * 9}, "Name it with --text"),
        ({"text": ["one two"] * 9, "u": list("aabbaabba"), "v": list("ccddccddc")}, "Name it with --label"),
    ],
)
def test_an_unsure_role_is_an_error_that_says_what_to_write(columns: dict[str, list[str]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        read(pl.DataFrame(columns))


def test_named_roles_pairs_and_none() -> None:
    frame = pl.DataFrame({"premise": ["a b c d"] * 8, "hypothesis": ["e f g h"] * 8, "u": list("aabbaabb"), "v": list("ccddccdd")})
    data = read(frame, {"label": "none"})
    assert data.roles == {"text": "premise,hypothesis"}
    assert data.texts([0]) == {0: "premise: a b c d | hypothesis: e f g h"}
    with pytest.raises(DataError, match="Did you mean hypothesis"):
        read(frame, {"text": "hypotesis"})
    table = read(pl.DataFrame({"w": [1.5, 2.5, float("nan"), 4.0] * 3, "h": [1, 2, 3, 4] * 3, "species": list("xyxy") * 3}))
    assert (table.kind, table.roles) == ("table", {"label": "species"})
    assert table.x.shape == (12, 2)
    assert np.isnan(table.x[2, 0])


def test_bad_lines_are_counted_and_keep_the_numbers_of_the_others(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(
        b'{"text": "one two three four"}\n\nnot json\n[1]\n{"text": "caf\xe9 is not utf8 here"}\n{"text": NaN}\n{"text": "last of all the rows"}'
    )
    data = read(path)
    assert data.rows == 6
    assert {fault.kind: (fault.count, fault.rows) for fault in data.faults} == {
        "not JSON": (1, (1,)),
        "not an object": (1, (2,)),
        "undecodable": (1, (3,)),
    }
    assert data.column("text").to_list() == ["one two three four", None, None, "caf\ufffd is not utf8 here", "nan", "last of all the rows"]


def test_ragged_and_quoted_csv(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes(b'\xef\xbb\xbftext,label,extra\n"two\nlines, and a comma",a,x\nshort row,b\nlong row,a,x,y\n\nbytes \xff,b,x\n')
    data = read(path, {"text": "text", "label": "label"})
    assert data.rows == 4
    assert {fault.kind: (fault.count, fault.rows) for fault in data.faults} == {"ragged": (2, (1, 2)), "undecodable": (1, (3,))}
    assert data.column("text").to_list() == ["two\nlines, and a comma", "short row", "long row", "bytes \ufffd"]


@pytest.mark.parametrize("size", [7, 64, 1_000])
def test_blocks_hold_whole_records_whatever_their_size(tmp_path: Path, size: int) -> None:
    path = tmp_path / "q.csv"
    rows = [["plain", "x"], ['quote "inside"', "a\nb"], ["c,d", "\n\n"], ["", "e"]] * 5
    text = io.StringIO()
    import csv

    csv.writer(text, lineterminator="\n").writerows([["p", "q"], *rows])
    path.write_text(text.getvalue())
    dialect = lines.csv_dialect(path, "yes")
    found = [cells for block in lines.blocks(path, quote=True, size=size) for cells in lines.csv_records(block, dialect)]
    assert found == [["p", "q"], *rows]


@pytest.mark.parametrize("size", [16, 4_096])
def test_a_line_beyond_the_limit_is_left_out_and_counted(tmp_path: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "BLOCK", size)
    path = tmp_path / "long.jsonl"
    path.write_text(
        "\n".join(
            [
                json.dumps({"text": "short text of five words"}),
                json.dumps({"text": "x " * 5_000}),
                json.dumps({"text": "another text of five words"}),
            ]
        )
    )
    data = read(path, longest=1_000)
    assert data.column("text").to_list() == ["short text of five words", "another text of five words"]
    assert [(fault.kind, fault.count) for fault in data.faults] == [("too long", 1)]
    peak = max(len(block) for block in lines.blocks(path, longest=1_000, size=16))
    assert peak <= 1_000 + 16


def test_files_that_cannot_be_read_are_one_clear_error(tmp_path: Path) -> None:
    def refused(name: str, content: bytes, said: str) -> None:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=said):
            read(tmp_path / name)

    refused("e.jsonl", b"", "is empty")
    refused("h.csv", b"text,label\n", "has no row")
    refused("u.csv", "text\nhé".encode("utf-16"), "iconv")
    refused("n.jsonl", b"hello\nworld\n", "no JSON objects")
    refused("p.parquet", b"PAR1 nothing", "cannot be read as Parquet")
    refused("z.npz", b"no zip", "not an NPZ file")
    refused("i-ubyte", b"\x00\x00\x08\x03zz", "IDX")
    refused("g.csv.gz", b"not gzip", "cannot be read")
    refused("x.docx", b"x", "unknown kind of file")
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "absent.jsonl")


def test_archives_that_promise_too_much_or_hold_objects_are_refused(tmp_path: Path) -> None:
    header = np.lib.format
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as archive:
        buffer = io.BytesIO()
        header.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": (LARGEST, 2)})
        archive.writestr("x.npy", buffer.getvalue())
    with pytest.raises(DataError, match="promises"):
        read(tmp_path / "bomb.npz")
    np.savez(tmp_path / "objects.npz", x=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="never unpickled"):
        read(tmp_path / "objects.npz")


def test_a_gzip_bomb_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "LARGEST_UNPACKED", 1_000_000)
    path = tmp_path / "b.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a b c d"}\n' * 200_000))
    with pytest.raises(DataError, match="bomb"):
        read(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_no_permission_to_read(tmp_path: Path) -> None:
    path = write(tmp_path / "d.jsonl")
    path.chmod(0)
    with pytest.raises(DataError, match="you may not read it"):
        read(path)
