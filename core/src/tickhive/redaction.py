"""What stands before every log line, status and response, so that no secret leaves the process.

Two nets, one behind the other: patterns that catch what looks like a credential wherever it appears, and a
``Redactor`` that knows the configured secrets exactly, in every form they are likely to travel in.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterable, Mapping, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
"""What a secret is replaced with."""

MAX_LENGTH = 500
"""The longest text ``_sanitize_error`` answers."""

_INPUT_LENGTH = 20_000
_SHORTEST_SECRET = 4
_SHORTEST_TOKEN = 25
_DEEPEST = 8

MAX_PASSING = 500
"""So many secrets of the moment are known at a time; the oldest are good for nothing any more."""

# Names whose values are secrets, in headers, key=value pairs and JSON alike; `-`, `_` and nothing are one. What ends in
# `_env` or `_file` says where a secret is, which whoever mends it has to read; CredentialsError is none.
_NAME = (
    r"[\w-]*(?:api[-_]?key|api[-_]?secret|access[-_]?key|access[-_]?sign|secret|passphrase|password|passwd|pwd"
    r"|signature|token|jwt|listen[-_]?key|private[-_]?key|credential|authorization|cookie|session[-_]?id)s?[\w-]*+"
    r"(?<![-_]env)(?<![-_]file)(?<!sError)"
    r"|[\w-]*access[-_](?:key|sign|passphrase)|sign|sig|auth|pass|x-mbx-[\w-]+|bearer"
)
# Every name above, and every scheme or armour below, contains one of these.
_NAME_PARTS = (
    "key", "secret", "pass", "pwd", "sig", "token", "jwt", "cred", "auth", "cookie", "session", "mbx", "bearer",
    "basic", "digest", "-----begin",
)  # fmt: skip

_URL = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/?#'\"<>]*@)?([^\s?#'\"<>]*)(\?[^\s'\"<>]*)?(#[^\s'\"<>]*)?")
_BARE_QUERY = re.compile(r"(?<![\w?])(/[\w./~%-]*)\?[^\s'\"<>)]+")
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", re.DOTALL)
_HEADER = re.compile(
    r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)(['\"]?\s*[:=,]\s*)(?:(b?['\"]).*?(?:(?<!\\)\3|$)|[^\r\n]*)"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic|digest)\s+[\w.+/=~-]{6,}")
# A value in quotes, in quotes that are escaped because the whole is quoted again, or up to the next separator.
_VALUE = (
    r"(?:b?(?P<q>['\"])(?:\\.|(?!(?P=q))[^\\])*(?:(?P=q)|\\?$)"
    r"|\\(?P<e>['\"])(?:\\{3}(?P=e)|(?!\\(?P=e)).)*(?:\\(?P=e)|$)"
    r"|[^\s,;&'\"})\]]+)"
)
_QUOTED_PAIR = re.compile(rf"(?i)(b?(\\?['\"])(?:{_NAME})\2\s*+[:=,]\s*+){_VALUE}")
_PAIR = re.compile(rf"(?i)(?<![\w-])((?:{_NAME})\s*+[=:]\s*+){_VALUE}")
_JWT = re.compile(r"\beyJ[\w-]{5,}(?:\.[\w-]*){1,4}")
_RUN = re.compile(r"[\w+/=-]{25,}")
_CHANGE = re.compile(r"(?<=[a-z])[A-Z0-9]|(?<=[A-Z])[a-z0-9]|(?<=[0-9])[A-Za-z]")
_HEX = re.compile(r"[0-9a-fA-F]*")
_HOME_LIKE = re.compile(r"(?<![\w.])(?:/home/|/Users/|[A-Za-z]:[\\/]+Users[\\/]+)[^\s/\\:'\",;]+")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+")


def _mask_run(match: re.Match[str]) -> str:
    """Mask what looks random in a long run of letters, digits and their joints; paths and names stay."""
    text = match[0]
    # Base64 may hold slashes. It changes between upper, lower and digits at most places; words and dates do not.
    mixed = text != text.lower() and text != text.upper()
    if "/" in text and mixed and len(text) > 30 and len(_CHANGE.findall(text)) > 0.45 * len(text):
        return MASK
    return "/".join(MASK if _looks_random(part) else part for part in text.split("/"))


def _looks_random(text: str) -> bool:
    if len(text) < _SHORTEST_TOKEN or not any(map(str.isdigit, text)):
        return False
    upper, lower = any(map(str.isupper, text)), any(map(str.islower, text))
    if not upper and not lower:
        return False
    if upper and lower:
        return True
    parts = re.split(r"[-_]", text)
    return max(map(len, parts)) >= _SHORTEST_TOKEN or all(_HEX.fullmatch(part) for part in parts)


def _mask_url(match: re.Match[str]) -> str:
    scheme, user, rest, query, _ = match.groups()
    return f"{scheme}{MASK + '@' if user else ''}{rest}{'?' + MASK if query else ''}"


def _mask_patterns(text: str) -> str:
    # Most texts name nothing secret; looking for a part of such a name first makes them several times cheaper.
    folded = text.casefold()
    named = any(part in folded for part in _NAME_PARTS)
    if named:
        text = _PEM.sub(MASK, text)
        text = _HEADER.sub(rf"\1\2{MASK}", text)
    if "://" in text:
        text = _URL.sub(_mask_url, text)
    if "?" in text:
        text = _BARE_QUERY.sub(rf"\1?{MASK}", text)
    if named:
        text = _QUOTED_PAIR.sub(rf"\1{MASK}", text)
        text = _SCHEME.sub(rf"\1 {MASK}", text)
        text = _PAIR.sub(rf"\1{MASK}", text)
    if "eyJ" in text:
        text = _JWT.sub(MASK, text)
    if "home" in folded or "users" in folded:
        text = _HOME_LIKE.sub("~", text)
    return _RUN.sub(_mask_run, text)


def _mask_quoted(match: re.Match[str]) -> str:
    """Mask a value within its quotes, so that JSON stays JSON; what has no quotes is a number or a word."""
    quote_mark = match["q"] or (match["e"] and "\\" + match["e"])
    return f"{match[1]}{quote_mark}{MASK}{quote_mark}" if quote_mark else match[0]


class Redactor:
    """Takes secrets out of text: those it was told, in every usual encoding, and whatever looks like one.

    Thread-safe. A secret of fewer than four characters is masked only where it stands alone as a word: elsewhere it
    cannot be told from ordinary text.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._lock = threading.Lock()
        self._forms: set[str] = set()
        self._passing: dict[str, set[str]] = {}
        self._words: set[str] = set()
        self._exact: tuple[list[str], re.Pattern[str] | None] = [], None
        self._homes = _home_directories()
        for secret in secrets:
            self.add_secret(secret)

    def add_secret(self, secret: str, *, passing: bool = False) -> None:
        """Never let this text out again, nor its base64, hexadecimal, JSON or URL-encoded forms. "" is ignored.

        ``passing``: it is one of many that are good for a moment; only the latest ``MAX_PASSING`` of them are known.
        """
        with self._lock:
            if len(secret) < _SHORTEST_SECRET:
                self._words |= {secret} if secret.isalnum() else set()
            elif passing:
                self._passing[secret] = self._passing.pop(secret, set()) or _forms(secret)
                if len(self._passing) > MAX_PASSING:
                    del self._passing[next(iter(self._passing))]
            else:
                self._forms |= _forms(secret)
            # The longest first, so that a form which contains another goes as a whole.
            ordered = sorted(self._forms.union(*self._passing.values()), key=len, reverse=True)
            words = "|".join(map(re.escape, self._words))
            self._exact = ordered, re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None

    def mask(self, text: str) -> str:
        """``text`` without secrets, its length and lines otherwise kept."""
        return self._mask_exact(_mask_patterns(self._mask_homes(self._mask_exact(text))))

    def sanitize(self, error: BaseException | str) -> str:
        """One line of at most 500 characters that may be shown to anybody; an exception gives its type's name first."""
        # Known secrets go before the text is cut to bound the patterns' time: a cut could go through one.
        text = self._mask_exact(error if isinstance(error, str) else describe_error(error))[:_INPUT_LENGTH]
        line = _SPACES.sub(" ", self.mask(text)).strip()
        if len(line) > MAX_LENGTH:
            line = line[: MAX_LENGTH - 3] + "..."
        # Joining lines may have brought together what was none.
        return self._mask_exact(line)

    def mask_frame(self, text: str) -> str:
        """A frame without known secrets and without the values of what is named like one; data stays as it is."""
        return self._mask_exact(_QUOTED_PAIR.sub(_mask_quoted, text))

    def mask_address(self, url: str) -> str:
        """An address without secrets: a login in it, query values named like one, and known ones; the rest stays."""
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        login, at, host = host.rpartition("@")
        path = _PAIR.sub(rf"\1{MASK}", path)
        return self._mask_exact(f"{scheme}://{MASK if login else ''}{at}{host}{slash}{path}")

    def redact(self, value: Any, depth: int = 0) -> Any:
        """``value`` with every text in it masked, mappings and sequences all the way down."""
        if isinstance(value, str):
            return self.mask(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, bytes | bytearray):
            return self.mask(bytes(value).decode("utf-8", "replace"))
        if isinstance(value, BaseException):
            return self.sanitize(value)
        if depth >= _DEEPEST:
            return self.mask(_text_of(value))
        if isinstance(value, Mapping):
            return {self.redact(key, depth + 1): self._redact_named(key, item, depth) for key, item in value.items()}
        if isinstance(value, tuple | list | set | frozenset):
            redacted = [self.redact(item, depth + 1) for item in value]
            return tuple(redacted) if isinstance(value, tuple) else redacted
        return self.mask(_text_of(value))

    def _redact_named(self, name: object, value: Any, depth: int) -> Any:
        if isinstance(name, str) and isinstance(value, str | bytes) and value and _SECRET_NAME.fullmatch(name):
            return MASK
        return self.redact(value, depth + 1)

    def _mask_exact(self, text: str) -> str:
        forms, words = self._exact
        before = None
        # A mask beside what was left may form a secret again. Secrets are longer than the mask, so this ends.
        while text != before:
            before = text
            # One search each: an expression of all of them takes ten times as long, and far longer to compile.
            for form in forms:
                if form in text:
                    text = text.replace(form, MASK)
            if words is not None:
                text = words.sub(MASK, text)
        return text

    def _mask_homes(self, text: str) -> str:
        for home in self._homes:
            text = text.replace(home, "~")
        return text


_STRUCTLOG_KEYS = frozenset({"exc_info", "_record", "_from_structlog"})
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)


def _forms(secret: str) -> set[str]:
    """The texts a secret may travel as."""
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, secret.strip(), repr(secret)[1:-1], secret.encode("unicode_escape").decode("ascii")}
    forms |= {quote(raw, safe=""), quote(raw), quote_plus(raw), quote(raw, safe="").lower()}
    forms |= {raw.hex(), raw.hex().upper(), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]}
    # Base64 of a longer text that contains the secret: the three ways it may fall on the groups of three bytes, without
    # the characters that also depend on its neighbours.
    for offset in range(3):
        padded = b"\0" * offset + raw
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(padded).decode("ascii").rstrip("=")
            first = -(-offset * 4 // 3)
            last = len(padded) // 3 * 4
            core = text[first : max(last, first)]
            if len(core) >= 6:
                forms.add(core)
            if not offset:
                forms |= {text, encode(raw).decode("ascii")}
    return {form for form in forms if len(form) >= _SHORTEST_SECRET}


def _home_directories() -> tuple[str, ...]:
    try:
        home = str(Path.home())
    except (RuntimeError, OSError):
        return ()
    # A home such as `/` or `C:\` would eat every path.
    return (home, home.replace("\\", "\\\\")) if len(home) > 3 else ()


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def describe_error(error: BaseException) -> str:
    """An exception's type and text; of an HTTP or WebSocket client's exception only the type and the host.

    Their texts quote addresses, headers and bodies of calls that may have carried credentials.
    """
    name = type(error).__name__
    if type(error).__module__.partition(".")[0] in {"httpx", "httpcore", "websockets", "h11"}:
        host = _host_of(error)
        return f"{name} from {host}" if host else name
    text = _text_of(error)
    return f"{name}: {text}" if text else name


def _host_of(error: BaseException) -> str | None:
    try:
        # httpx raises when no request was attached.
        host = error.request.url.host  # type: ignore[attr-defined]
    except Exception:
        return None
    return host if isinstance(host, str) else None


default_redactor = Redactor()
"""The process's redactor: configured credentials are added to it, everything that logs goes through it."""


def add_secret(secret: str, *, passing: bool = False) -> None:
    """Never let this text out of the process again; ``passing``: not as long as it may be good for anything."""
    default_redactor.add_secret(secret, passing=passing)


def _sanitize_error(error: BaseException | str) -> str:
    """One line of at most 500 characters, without secrets, that may be logged, served or shown."""
    return default_redactor.sanitize(error)


def redact_processor(logger: Any, method_name: str, event_dict: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that takes secrets out of every value of a log line, however deep.

    It belongs behind the processor that turns ``exc_info`` into text: an ``exc_info`` it meets is left as it is.
    """
    for key, value in event_dict.items():
        if key in _STRUCTLOG_KEYS:
            continue
        event_dict[key] = default_redactor._redact_named(key, value, 0)
    return event_dict
