"""Streams of backups, with what others make of them: archives of a real BASE_BACKUP, of GNU tar and of Python, and Tink's boxes."""

import base64
import io
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path

import pytest

from lab import programs

TREE = Path(__file__).resolve().parent.parent
PROGRAM = "src/test/interop/pack"
TINK = Path("/var/lib/fawkes/tink")
LONGEST = "/".join(f"{'directory' * 4}{i:02}" for i in range(9)) + "/file"
SEGMENT = 1024 * 1024
MEMORY_KB = 64 * 1024
PARTS_KB = 24 * 1024  # which wait for their upload

# Runs with Tink: standard input is sealed or opened as the object.
THEIRS = """
import io, sys, tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2 as format, common_pb2, tink_pb2

verb, key, name = sys.argv[1], bytes.fromhex(sys.argv[2]), sys.argv[3].encode()
streaming_aead.register()
params = format.AesGcmHkdfStreamingParams(ciphertext_segment_size=1048576, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256)
value = format.AesGcmHkdfStreamingKey(version=0, params=params, key_value=key).SerializeToString()
data = tink_pb2.KeyData(
    type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey", value=value, key_material_type=tink_pb2.KeyData.SYMMETRIC
)
one = tink_pb2.Keyset.Key(key_data=data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW)
keyset = tink_pb2.Keyset(primary_key_id=1, key=[one])
box = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN).primitive(streaming_aead.StreamingAead)
if verb == "seal":
    with box.new_encrypting_stream(sys.stdout.buffer, name) as stream:
        stream.write(sys.stdin.buffer.read())
else:
    with box.new_decrypting_stream(sys.stdin.buffer, name) as stream:
        sys.stdout.buffer.write(stream.read())
"""


@cache
def build() -> Path:
    programs.make(TREE, PROGRAM)
    return TREE / PROGRAM


def pack(data: bytes, *words: object, status: int = 0) -> bytes:
    """Through these stages; or what was said, if it should fail."""
    done = subprocess.run([build(), *map(str, words)], input=data, capture_output=True, timeout=120)
    assert done.returncode == status, done.stderr.decode()
    return done.stderr if status else done.stdout


def contents(archive: bytes, mode: str = "r:") -> dict[str, bytes]:
    """By path, in their order; of a directory, with a slash behind it: nothing."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode=mode) as tar:
        return {
            os.path.normpath(member.name) + "/" * member.isdir(): tar.extractfile(member).read() if member.isreg() else b"" for member in tar
        }


def listed(archive: bytes) -> list[list[str]]:
    return [line.split("\t") for line in pack(archive, "list").decode().splitlines()]


# --- BASE_BACKUP's archives


@pytest.fixture(scope="module")
def base_backup():
    """{"base.tar": ..., "16384.tar": ...}: what a server with a tablespace sends."""
    home = Path(tempfile.mkdtemp(prefix="fh-", dir=os.environ.get("FAWKES_TEST_DIR", "/tmp")))
    data, space, out = home / "data", home / "space", home / "out"
    space.mkdir()
    try:
        programs.must_run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-N", "--locale=C.UTF-8", "-E", "UTF8")
        settings = {"listen_addresses": "", "unix_socket_directories": str(home), "fsync": "off"}
        with open(data / "postgresql.conf", "a") as conf:
            conf.write(programs.settings_text(settings))
        programs.must_run("pg_ctl", "start", "-w", "-D", data, "-l", home / "log")
        try:
            where = ("-h", home, "-U", "postgres")
            sql = f"CREATE TABLESPACE apart LOCATION '{space}'", "CREATE TABLE t TABLESPACE apart AS SELECT generate_series(1, 1000)"
            for statement in sql:
                programs.must_run("psql", "-X", "-q", *where, "-c", statement, "postgres")
            programs.must_run("pg_basebackup", *where, "-D", out, "-F", "tar", "-X", "none", "-c", "fast", "--no-sync", "--no-manifest")
        finally:
            programs.run("pg_ctl", "stop", "-w", "-m", "immediate", "-D", data)
        yield {path.name: path.read_bytes() for path in out.iterdir()}
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_a_base_backup_becomes_what_barman_restores(base_backup):
    sent = base_backup["base.tar"]
    raw = contents(sent)
    assert {"backup_label", "tablespace_map", "global/pg_control"} < set(raw)
    stored = pack(sent, "filter", "data", "+", "compress", "gzip", 0, 3)
    # As barman-cloud-restore reads it.
    read = contents(stored, "r|gz")
    assert list(read)[-2:] == ["global/pg_control", "backup_label"]
    assert read == {path: content for path, content in raw.items() if path != "tablespace_map"}
    assert [path for path in read if path.startswith("pg_tblspc")] == ["pg_tblspc/"]
    assert all(not member.issym() for member in tarfile.open(fileobj=io.BytesIO(stored), mode="r|gz"))
    assert contents(pack(stored, "decompress", "gzip")) == read


def test_a_tablespace_s_archive_stays_as_it_is(base_backup):
    (name,) = set(base_backup) - {"base.tar"}
    assert pack(base_backup[name], "filter", "tablespace") == base_backup[name]


def test_what_the_server_did_not_send_to_its_end_is_no_backup(base_backup):
    sent = base_backup["base.tar"]
    for size in (0, 100, len(sent) // 2, len(sent) - 1):
        assert b"the archive ends too early" in pack(sent[:size], "filter", "data", status=1)


# --- compression


@pytest.mark.parametrize("level", [1, 2, 3, 6, 9])
def test_gzip_by_several_threads_is_one_member(base_backup, level):
    sent = base_backup["base.tar"]
    stored = pack(sent, "compress", "gzip", level, 4)
    assert subprocess.run(["gzip", "-d"], input=stored, capture_output=True, check=True).stdout == sent
    assert contents(stored, "r|gz") == contents(sent)


@pytest.mark.parametrize("words", [("gzip", 2, 4), ("gzip", 6, 4), ("zstd", 3, 4), ("zstd", 9, 4), ("lz4", 1, 0)])
def test_memory_is_bounded(base_backup, tmp_path, words):
    """With all streams, and more bytes than it may have."""
    keys = tmp_path / "keys"
    keys.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    sent = base_backup["base.tar"]
    streams = map(str, ("compress", *words, "+", "seal", keys, "x"))
    with subprocess.Popen([build(), *streams], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        for _ in range(MEMORY_KB * 1024 // len(sent) + 1):
            process.stdin.write(sent)
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
        process.stdin.close()
    assert process.returncode == 0
    assert int(peak[1]) < MEMORY_KB - PARTS_KB


# --- archives of others


@pytest.mark.parametrize("form", ["ustar", "gnu", "pax", "v7"])
def test_archives_of_gnu_tar(tmp_path, form):
    top = tmp_path / "top"
    longest = top / ("short/file" if form in ("ustar", "v7") else LONGEST)
    longest.parent.mkdir(parents=True)
    longest.write_text("content")
    (top / "empty").mkdir()
    (top / "link").symlink_to("short/file")
    os.link(longest, top / "again")
    os.utime(longest, (1700000000.5, 1700000000.5))
    archive = subprocess.run(["tar", f"--format={form}", "-cf", "-", "-C", top, "."], capture_output=True, check=True).stdout
    entries = {path: (kind, size, modified, link) for kind, size, _, modified, path, link in listed(archive)}
    assert set(entries) == {os.path.normpath(name).removeprefix(".") for name in tarfile.open(fileobj=io.BytesIO(archive)).getnames()}
    assert entries["empty"][0] == "2"
    assert entries["link"][0] == "4" and entries["link"][3] == "short/file"
    inside = longest.relative_to(top)
    assert sorted(entries[str(path)][:2] for path in (inside, "again")) == [("1", "7"), ("8", "0")]
    assert entries[str(inside)][2] == "1700000000"


def test_archives_of_python(tmp_path):
    """As barman writes them: pax, with times of fractions."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in ("PG_VERSION", LONGEST, "base/ä/1"):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = 3, 1700000000.25, 0o600
            tar.addfile(info, io.BytesIO(b"abc"))
    assert [line[:5] for line in listed(out.getvalue())] == [
        ["1", "3", "600", "1700000000", name] for name in ("PG_VERSION", LONGEST, "base/ä/1")
    ]
    # What is not of a backup goes nowhere, whatever its name is written in.
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        for name in ("../x", "/x", f"{LONGEST}/../../x", "ä/../../x"):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=form) as tar:
                tar.addfile(tarfile.TarInfo(name))
            assert b"unsafe path" in pack(out.getvalue(), "list", status=1)


def test_a_sparse_file_is_refused(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(10_000_000)
        file.write(b"x")
    for form in ("gnu", "pax"):
        made = subprocess.run(["tar", f"--format={form}", "-Scf", "-", "-C", tmp_path, "sparse"], capture_output=True, check=True).stdout
        assert b"sparse" in pack(made, "list", status=1)


# --- encryption


@pytest.mark.skipif(not TINK.is_dir(), reason="Tink is not there: test/install.sh tink")
@pytest.mark.parametrize("size", [0, 1, SEGMENT - 57, SEGMENT - 56, SEGMENT - 55, 3 * SEGMENT + 7])
def test_tink_opens_what_is_sealed_here_and_seals_what_opens_here(tmp_path, size):
    key, plain = secrets.token_bytes(32), secrets.token_bytes(size)
    keys = tmp_path / "keys"
    keys.write_text(base64.b64encode(key).decode() + "\n")
    name = "db-x/wals/0000000100000000/000000010000000000000037.gz.tink"

    def theirs(verb: str, data: bytes, object_name: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": str(TINK)}
        words = ["/usr/bin/python3", "-c", THEIRS, verb, key.hex(), object_name]
        return subprocess.run(words, input=data, capture_output=True, env=environment, timeout=60)

    ours = pack(plain, "seal", keys, name)
    opened = theirs("open", ours, name)
    assert (opened.returncode, opened.stdout == plain) == (0, True), opened.stderr.decode()
    assert theirs("open", ours, name + "x").returncode != 0
    made = theirs("seal", plain, name)
    assert made.returncode == 0, made.stderr.decode()
    assert len(made.stdout) == len(ours)
    assert pack(made.stdout, "unseal", keys, name) == plain
    assert b"no key opens" in pack(made.stdout, "unseal", keys, name + "x", status=1)
