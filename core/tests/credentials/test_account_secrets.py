"""Where an account's secrets come from, and that whatever is wrong is said without them."""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tickhive.credentials import Account, load_credentials, obtain, structure_account
from tickhive.errors import ConfigurationError, PermissionsError
from tickhive.plugin.contract import Credentials
from tickhive.redaction import default_redactor

KEY, SECRET, PASSPHRASE = "Kx81mmAbQ0", "s3cr3t/Value+that==", "correct horse battery"
posix = pytest.mark.skipif(os.name == "nt", reason="Windows keeps rights elsewhere")

WriteFile = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    def write(name: str, text: str | bytes, mode: int = 0o600) -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        path.chmod(mode)
        return path

    return write


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A keyring in memory in the place of the package, which is an extra."""
    stored: dict[tuple[str, str], str] = {}
    module = types.ModuleType("keyring")
    module.get_password = lambda service, name: stored.get((service, name))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    return stored


def account(**fields: Any) -> Account:
    return structure_account({"exchange": "acme", **fields}, "accounts.main")


def refused(call: Callable[[], object]) -> ConfigurationError:
    """What it refuses, none of the secrets in it."""
    with pytest.raises(ConfigurationError) as caught:
        call()
    for value in (KEY, SECRET, PASSPHRASE):
        assert value not in str(caught.value)
        assert value not in repr(caught.value)
    return caught.value


def test_each_secret_has_a_source_of_its_own(write: WriteFile) -> None:
    file = write("secret.txt", f"{SECRET}\r\n")
    found = load_credentials(
        "main",
        account(key_env="ACME_KEY", secret_file=str(file), passphrase=PASSPHRASE, allow_clear_text=True),
        {"ACME_KEY": KEY},
    )
    assert found == Credentials("main", KEY, SECRET, PASSPHRASE)


def test_one_file_holds_all(write: WriteFile) -> None:
    file = write("acme.toml", f'key = "{KEY}"\nsecret = "{SECRET}"\npassphrase = "{PASSPHRASE}"\n')
    assert load_credentials("main", account(file=str(file)), {}) == Credentials("main", KEY, SECRET, PASSPHRASE)
    file = write("two.toml", f'key = "{KEY}"\nsecret = "{SECRET}"\n')
    assert load_credentials("main", account(file=str(file)), {}) == Credentials("main", KEY, SECRET)
    some = account(file=str(file), passphrase_env="WORDS")
    assert load_credentials("main", some, {"WORDS": PASSPHRASE}).passphrase == PASSPHRASE


def test_a_keyring_holds_all(keyring: dict[tuple[str, str], str]) -> None:
    keyring["acme-main", "key"], keyring["acme-main", "secret"] = KEY, SECRET
    assert load_credentials("main", account(keyring="acme-main"), {}) == Credentials("main", KEY, SECRET)
    problems = refused(lambda: load_credentials("main", account(keyring="other"), {})).problems
    assert problems == (
        "accounts.main: the keyring's service 'other' holds no key",
        "accounts.main: the keyring's service 'other' holds no secret",
    )


def test_a_keyring_that_is_not_installed_or_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    error = refused(lambda: load_credentials("main", account(keyring="acme-main"), {}))
    assert "pip install 'tickhive[keyring]'" in str(error)
    assert len(error.problems) == 1
    module = types.ModuleType("keyring")

    def fail(service: str, name: str) -> str:
        raise RuntimeError(f"locked; {SECRET}")

    module.get_password = fail  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", module)
    assert "RuntimeError" in str(refused(lambda: load_credentials("main", account(keyring="acme-main"), {})))


def test_a_key_of_several_lines_stays_whole(write: WriteFile) -> None:
    pem = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIabcdefghijk\nQ0lmnopqrstuvwxyz==\n-----END EC PRIVATE KEY-----"
    found = load_credentials("main", account(key_env="K", secret_file=str(write("ec.pem", pem + "\n"))), {"K": KEY})
    assert found.secret == pem
    assert "MHcCAQEEIabcdefghijk" not in default_redactor.mask("one line of it: MHcCAQEEIabcdefghijk")
    # Another key is still known by its armour.
    assert "Short" not in default_redactor.mask(pem.replace("MHcCAQEEIabcdefghijk", "Short"))


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({}, "nothing says where the key comes from; give key_env, key_file, file or keyring"),
    "half": ({"key_env": "K"}, "nothing says where the secret comes from"),
    "two sources": ({"key_env": "K", "key_file": "k", "secret_env": "S"}, "key_env and key_file are both given"),
    "two shared": ({"file": "f", "keyring": "k"}, "file and keyring are both given"),
    "in clear": ({"key": KEY, "secret_env": "S"}, "the key stands here in clear"),
    "no exchange": ({"exchange": " ", "key_env": "K", "secret_env": "S"}, "exchange: must not be empty"),
    "no name": ({"key_env": "", "secret_env": "S"}, "key_env: expected the name of an environment variable"),
    "no service": ({"keyring": ""}, "keyring: expected the name of a service"),
    "unknown": ({"key_env": "K", "secret_env": "S", "pasphrase_env": "P"}, "pasphrase_env"),
    "a number": ({"key": 17, "secret_env": "S", "allow_clear_text": True}, "key: expected text"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_table_that_is_no_account_is_refused(case: str) -> None:
    fields, words = WRONG[case]
    error = refused(lambda: account(**fields))
    assert any(words in problem for problem in error.problems), error.problems
    assert all(problem.startswith("accounts.main") for problem in error.problems)


def test_secrets_that_cannot_be_had_are_named_all_at_once(write: WriteFile, tmp_path: Path) -> None:
    some = account(key_env="ACME_KEY", secret_file=str(tmp_path / "gone"), passphrase_env="EMPTY")
    problems = refused(lambda: load_credentials("main", some, {"EMPTY": " \n"})).problems
    assert problems == (
        "accounts.main: the environment variable ACME_KEY, which is to hold the key, is not set",
        f"accounts.main: the file {tmp_path / 'gone'}, which is to hold the secret, does not exist",
        "accounts.main: the environment variable EMPTY, which is to hold the passphrase, is empty",
    )
    # They stay readable where everything that looks like a secret is masked.
    assert [default_redactor.mask(problem) for problem in problems[::2]] == list(problems[::2])


FILES: dict[str, tuple[str | bytes, str]] = {
    "not TOML": (f'key = "{KEY}"\nsecret = {SECRET}\n', "is not valid TOML (at line 2, column"),
    "another key": (f'key = "{KEY}"\napi_secret = "{SECRET}"\n', "may hold key, secret, passphrase"),
    "a table": (f'[key]\nvalue = "{KEY}"\n', "may hold key, secret, passphrase"),
    "no secret": (f'key = "{KEY}"\n', "holds no secret"),
    "no text": (b"\xff\xfe\x00", "is not UTF-8 text"),
    "too long": ("#" * 70_000, "is longer than"),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_that_cannot_be_used_is_named(write: WriteFile, case: str) -> None:
    content, words = FILES[case]
    file = write("acme.toml", content)
    error = refused(lambda: load_credentials("main", account(file=str(file)), {}))
    assert str(file) in str(error)
    assert words in str(error)
    assert len(error.problems) == 1


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    assert "no regular file" in str(refused(lambda: load_credentials("main", account(file=str(tmp_path)), {})))


def test_a_secret_has_one_source_only(write: WriteFile) -> None:
    file = write("acme.toml", f'key = "{KEY}"\nsecret = "{SECRET}"\n')
    some = account(file=str(file), secret_env="S")
    assert "holds the secret, and secret_env is given too" in str(
        refused(lambda: load_credentials("main", some, {"S": SECRET}))
    )


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644, 0o601])
def test_a_file_others_may_use_is_refused(write: WriteFile, mode: int) -> None:
    file = write("my secret", SECRET, mode)
    error = refused(lambda: load_credentials("main", account(key_env="K", secret_file=str(file)), {"K": KEY}))
    assert isinstance(error, PermissionsError)
    assert f"(mode {mode:04o}); run: chmod 600 '{file}'" in str(error)
    # With another fault beside it, mending rights alone would not do.
    assert not isinstance(
        refused(lambda: load_credentials("main", account(key_env="K", secret_file=str(file)), {})), PermissionsError
    )


@posix
def test_a_file_of_another_user_is_refused(write: WriteFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write("secret", SECRET)
    os.chown(file, 4711, -1) if os.geteuid() == 0 else monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    error = refused(lambda: load_credentials("main", account(key_env="K", secret_file=str(file)), {"K": KEY}))
    assert isinstance(error, PermissionsError)
    assert "belongs to another user" in str(error)
    assert "run: chown" in str(error)


def test_what_was_loaded_is_never_shown_again(write: WriteFile) -> None:
    value = "Zq7-unheard-of-before"
    assert value in default_redactor.mask(f"it is {value}")
    found = load_credentials("main", account(key_env="K", secret_env="S"), {"K": KEY, "S": f"{value}\n"})
    assert value not in default_redactor.mask(f"it is {value}")
    assert value not in repr(found)
    assert value not in repr(account(key=KEY, secret=value, allow_clear_text=True))
    other = "Another-1-of-the-library"
    assert obtain(Credentials("main", KEY, other)).secret == other
    assert other not in default_redactor.mask(other)
    with pytest.raises(ConfigurationError, match="expected Credentials, got str"):
        obtain(lambda: "key")  # type: ignore[arg-type, return-value]
