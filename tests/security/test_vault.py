"""Secrets at rest: what opens, what must not, and whose key file is accepted."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.domain.connector import Vault
from earmark.domain.errors import Unavailable
from earmark.security.vault import FileVault


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "secret.key"


@pytest.fixture
def vault(path: Path) -> FileVault:
    return FileVault.create(path)


@pytest.mark.parametrize(
    "clear", ["", "hunter2", "snow \u2603 and \x00", "x" * 100_000]
)
def test_what_is_sealed_opens_again(vault: Vault, clear: str) -> None:
    assert vault.open(vault.seal(clear, "id"), "id") == clear


def test_a_sealed_secret_shows_nothing_and_never_looks_the_same(
    vault: FileVault,
) -> None:
    one, two = vault.seal("hunter2", "id"), vault.seal("hunter2", "id")
    assert one != two
    assert b"hunter2" not in one
    assert one.startswith(b"EM1" + vault.key_id)
    assert len(one) == 3 + 8 + 12 + len("hunter2") + 16


def test_a_row_that_is_moved_to_another_id_does_not_open(vault: FileVault) -> None:
    with pytest.raises(Unavailable, match="does not open"):
        vault.open(vault.seal("hunter2", "one"), "two")


@given(at=st.integers(min_value=0, max_value=45), flip=st.integers(1, 255))
def test_no_altered_byte_goes_unnoticed(at: int, flip: int) -> None:
    vault = FileVault(bytes(32), Path("key"))
    sealed = bytearray(vault.seal("hunter2", "id"))
    assert len(sealed) == 46
    sealed[at] ^= flip
    with pytest.raises(Unavailable):
        vault.open(bytes(sealed), "id")


def test_no_shortened_secret_opens(vault: FileVault) -> None:
    sealed = vault.seal("hunter2", "id")
    for length in range(len(sealed)):
        with pytest.raises(Unavailable):
            vault.open(sealed[:length], "id")


def test_another_key_is_named_and_so_is_the_one_that_is_wanted(
    vault: FileVault, tmp_path: Path
) -> None:
    other = FileVault.create(tmp_path / "other.key")
    with pytest.raises(Unavailable) as caught:
        other.open(vault.seal("hunter2", "id"), "id")
    assert vault.key_id.hex() in str(caught.value)
    assert other.key_id.hex() in str(caught.value)
    assert vault.key_id.hex() in caught.value.hint
    assert "EARMARK_SECRET_KEY_FILE" in caught.value.hint


def test_a_key_outlives_the_process(vault: FileVault, path: Path) -> None:
    sealed = vault.seal("hunter2", "id")
    assert FileVault.load(path).open(sealed, "id") == "hunter2"
    assert FileVault.create(path).open(sealed, "id") == "hunter2"


def test_the_key_file_is_one_line_of_text_for_us_alone(
    vault: FileVault, path: Path
) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    text = path.read_text()
    assert len(text) == 45
    assert text.endswith("=\n")
    assert list(path.parent.iterdir()) == [path], "the draft stayed behind"


def test_neither_vault_nor_errors_show_the_key(vault: FileVault, path: Path) -> None:
    key = path.read_text().strip()
    assert key not in repr(vault)
    path.write_text(key[:-4] + "\n")
    with pytest.raises(Unavailable) as caught:
        FileVault.load(path)
    assert key[:8] not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o700, 0o644])
def test_a_file_that_others_may_use_is_refused(
    vault: FileVault, path: Path, mode: int
) -> None:
    path.chmod(mode)
    with pytest.raises(Unavailable) as caught:
        FileVault.load(path)
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_file_that_only_we_may_read_is_accepted(vault: FileVault, path: Path) -> None:
    path.chmod(0o400)
    assert FileVault.load(path).key_id == vault.key_id


def test_a_file_of_another_user_is_refused(
    vault: FileVault, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only root could give the file away, so we become somebody else instead.
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(Unavailable, match="another user") as caught:
        FileVault.load(path)
    assert "chown" in caught.value.hint


@pytest.mark.parametrize(
    "text", ["", "\n", "AAAA\n", "no base64 at all!\n", "A" * 88, "\u2603"]
)
def test_a_damaged_file_is_refused_and_never_replaced(
    vault: FileVault, path: Path, text: str
) -> None:
    path.write_text(text)
    for way in (FileVault.load, FileVault.create):
        with pytest.raises(Unavailable, match="damaged"):
            way(path)
    assert path.read_text() == text


def test_a_folder_in_the_files_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(Unavailable):
        FileVault.create(path)


def test_a_missing_file_is_named(path: Path) -> None:
    with pytest.raises(Unavailable, match="no key file") as caught:
        FileVault.load(path)
    assert "EARMARK_SECRET_KEY_FILE" in caught.value.hint
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be made"):
        FileVault.create(tmp_path / "file" / "key")


CREATE = """
import sys
from pathlib import Path
from earmark.security.vault import FileVault
print("here", flush=True)
sys.stdin.readline()
print(FileVault.create(Path(sys.argv[1])).key_id.hex(), flush=True)
"""


def test_of_processes_that_create_at_once_one_wins_and_all_have_its_key(
    path: Path,
) -> None:
    crowd = [
        subprocess.Popen(
            [sys.executable, "-c", CREATE, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for each in crowd:
        assert each.stdout is not None
        assert each.stdout.readline() == "here\n"
    for each in crowd:
        assert each.stdin is not None
        each.stdin.write("go\n")
        each.stdin.flush()
    ids = {each.communicate(timeout=30)[0].strip() for each in crowd}
    assert ids == {FileVault.load(path).key_id.hex()}
    assert list(path.parent.iterdir()) == [path]


def test_who_comes_second_loads_the_firsts_key(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race at its narrowest: the file appears after we looked for it."""
    first = FileVault.create(path)
    monkeypatch.setattr(Path, "exists", lambda self: False)
    assert FileVault.create(path).key_id == first.key_id
