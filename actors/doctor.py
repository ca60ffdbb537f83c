"""Is this machine fit to hold a position? Looks and reports; repairs and changes nothing.

Each check is one line: ok, warn (works, but know of it) or fail (do not trade like this).
"""

from __future__ import annotations

import os
import resource
import shutil
import socket
import sqlite3
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import frozen

from actors.config import Config, ConfigError, load_config
from actors.damage import age, way_out
from actors.lock import the_file
from actors.runtime.clock import SystemClock
from actors.settings import backup_folders, backups_folder
from fsm.timestamps import SECOND_US, iso_utc, micros_from_iso
from storage.backup_folder import Kept, backups_in
from storage.journal import (
    GENESIS,
    Head,
    JournalDamaged,
    JournalReader,
    check_head,
    head_path,
)
from storage.page_check import broken_pages
from storage.schema import SCHEMA_VERSION, SchemaTooNew, version_of

_MIB = 1024 * 1024
_DISK_FAIL_BYTES, _DISK_WARN_BYTES = 64 * _MIB, 1024 * _MIB
_FILES_MIN = 256
_EARLIEST = "2025-01-01T00:00:00Z"
_CLOCK_BACK_US = 5 * SECOND_US
_VENUE_TIMEOUT_S = 2.0
_DAMAGE = ("database", "integrity", "head", "chain")
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre"}
    | {"ncpfs", "ocfs2", "gfs2", "davfs", "virtiofs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone"}
    | {"fuse.davfs2", "fuse.glusterfs"}
)


@frozen
class Check:
    """One line of the report; `state` is ok, warn or fail."""

    name: str
    state: str
    detail: str


def examine(db: Path | None = None, config_path: Path | None = None) -> list[Check]:
    """Every check, in a fixed order. Never raises: what cannot be looked at is a line too."""
    checks: list[Check] = []
    config: Config | None = None
    try:
        config = load_config(config_path)
        checks.append(Check("configuration", "ok", f"{len(config.settings)} settings, all valid"))
    except ConfigError as problem:
        checks.append(Check("configuration", "fail", str(problem)))
    path = the_file(db if db is not None else config.engine.db if config else "holdfast.db")
    checks += [_python(), _sqlite(), _open_files(), _disk(path), check_file_system(path)]
    checks += _database(path)
    folders = backup_folders(config or Config(), path)
    if any(check.state == "fail" and check.name in _DAMAGE for check in checks):
        checks.append(Check("way out", "fail", way_out(path, folders)))
    checks += _backups(path, config or Config(), folders)
    checks += list(_permissions(path))
    if config is not None:
        checks.append(_venue(config))
    return checks


# --------------------------------------------------------------------------------------- machine


def _python() -> Check:
    version = ".".join(str(part) for part in sys.version_info[:3])
    fit = sys.version_info >= (3, 11)
    return Check("python", "ok" if fit else "fail", version if fit else f"{version}: needs 3.11")


def _sqlite() -> Check:
    text, version = sqlite3.sqlite_version, sqlite3.sqlite_version_info
    if version < (3, 37, 0):
        return Check("sqlite", "fail", f"{text}: strict tables need 3.37 or newer")
    if version < (3, 51, 3):
        caveat = "the WAL-reset race before 3.51.3 needs two writers, and there is one"
        return Check("sqlite", "ok", f"{text} ({caveat})")
    return Check("sqlite", "ok", text)


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < _FILES_MIN:
        return Check("open files", "warn", f"limit {soft}: raise it to {_FILES_MIN} (`ulimit -n`)")
    return Check("open files", "ok", f"limit {soft}")


def _disk(path: Path) -> Check:
    folder = _folder(path)
    try:
        free = shutil.disk_usage(folder).free
    except OSError as problem:
        return Check("disk", "fail", f"{folder}: {problem.strerror}")
    text = f"{free // _MIB} MiB free in {folder}"
    if free < _DISK_FAIL_BYTES:
        return Check("disk", "fail", f"{text}: make room before you trade")
    return Check("disk", "warn" if free < _DISK_WARN_BYTES else "ok", text)


def _folder(path: Path) -> Path:
    return path.resolve().parent


def check_file_system(path: Path) -> Check:
    """A network share loses records that it acknowledged (N03)."""
    folder = _folder(path)
    try:
        mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Check("file system", "warn", "unknown; it must not be a network share")
    kind = file_system_of(folder, mounts)
    if kind in _NETWORK:
        detail = f"{folder} is on a network share ({kind}): move the database to a local disk"
        return Check("file system", "fail", detail)
    return Check("file system", "ok", f"{kind} at {folder}")


def file_system_of(folder: Path, mounts: str) -> str:
    """The type of the deepest mount that holds a folder; `mounts` as /proc/mounts has it."""
    best, kind = -1, "unknown"
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        if folder.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind


# -------------------------------------------------------------------------------------- database


def _database(path: Path) -> list[Check]:
    if not path.exists():
        found = Check("database", "ok", f"{path}: none yet, the first start makes one")
        return [found, _clock(None)]
    if path.is_dir():
        return [Check("database", "fail", f"{path}: a directory, not a database"), _clock(None)]
    try:
        reader = JournalReader.open(path)
    except SchemaTooNew as problem:
        return [Check("schema", "fail", str(problem)), _clock(None)]
    except JournalDamaged as problem:
        return [Check("database", "fail", str(problem)), _clock(None)]
    except (sqlite3.Error, OSError) as problem:
        return [Check("database", "fail", f"{path}: cannot be read: {problem}"), _clock(None)]
    try:
        return _opened(reader, path)
    except sqlite3.Error as problem:
        return [Check("database", "fail", f"{path}: cannot be read: {problem}"), _clock(None)]
    finally:
        reader.close()


def _opened(reader: JournalReader, path: Path) -> list[Check]:
    version = version_of(reader.conn)
    if version == 0:
        return [Check("database", "fail", f"{path}: not a holdfast database"), _clock(None)]
    schema = Check("schema", "ok", f"{version}")
    if version < SCHEMA_VERSION:
        detail = f"{version}: the next start brings it to {SCHEMA_VERSION}"
        schema = Check("schema", "warn", detail)
    lines = broken_pages(reader.conn, 5)
    detail = "; ".join(lines) if lines else f"{path}: pages hold together"
    pages = Check("integrity", "fail" if lines else "ok", detail)
    last = reader.conn.execute("SELECT max(at_us) FROM journal").fetchone()[0]
    chain = [] if lines else [_chain(reader, path)]
    return [schema, pages, _head(reader, path), *chain, _clock(last)]


def _chain(reader: JournalReader, path: Path) -> Check:
    """Every row of the journal: a changed one shows nowhere else. 3 s for a million events."""
    upto = reader.head().seq
    try:
        reader.check_chain(Head(0, GENESIS), upto)
    except JournalDamaged as damage:
        return Check("chain", "fail", f"{path}: {damage}")
    return Check("chain", "ok", f"unbroken over {upto:,} events")


def _head(reader: JournalReader, path: Path) -> Check:
    try:
        check_head(reader, path)
    except JournalDamaged as damage:
        return Check("head", "fail", str(damage))
    if not head_path(path).exists():
        return Check("head", "warn", f"no {head_path(path)}: a lost tail would not be noticed")
    return Check("head", "ok", f"{head_path(path)} lies on the chain")


def _clock(last_us: int | None) -> Check:
    now = SystemClock().now_us()
    if now < micros_from_iso(_EARLIEST):
        return Check("clock", "fail", f"{iso_utc(now)}: set the clock, and keep it with NTP")
    if last_us is not None and now < last_us - _CLOCK_BACK_US:
        detail = f"{iso_utc(now)} is before the last event at {iso_utc(last_us)}: set the clock"
        return Check("clock", "fail", detail)
    return Check("clock", "ok", iso_utc(now))


# --------------------------------------------------------------------------------------- backups


def _backups(path: Path, config: Config, folders: Sequence[Path]) -> list[Check]:
    """How old the newest is, and whether a broken disk would take it too."""
    folder = backups_folder(config, path)
    if not path.is_file():
        return []
    try:
        newest = next(iter(backups_in(folders, path)), None)
        shares = _nearest(folder).stat().st_dev == path.stat().st_dev
    except OSError as problem:
        return [Check("backups", "fail", f"{folder}: {problem.strerror}")]
    checks = [_newest(newest, folder, config.backup.interval_s), _disk_of_backups(folder, shares)]
    why_not = _cannot_hold(folder)
    return [Check("backup folder", "fail", why_not), *checks] if why_not else checks


def _cannot_hold(folder: Path) -> str:
    """Why no backup can be made in this folder; empty when one can."""
    nearest = _nearest(folder)
    if not nearest.is_dir():
        return f"{folder}: {nearest} is not a folder; name another with backup.folder"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return f"{folder}: not writable for this user; name another with backup.folder"
    return ""


def _newest(newest: Kept | None, folder: Path, interval_s: float) -> Check:
    if newest is None:
        how = "the service makes one" if interval_s else "backup.interval_s is 0"
        return Check("backups", "warn", f"none in {folder} ({how}; or `holdfast backup {folder}`)")
    now = SystemClock().now_us()
    detail = f"{newest.path.name}: {age(newest.made_at_us, now)}"
    old = bool(interval_s) and now - newest.made_at_us > 2 * interval_s * SECOND_US
    return Check("backups", "warn" if old else "ok", detail)


def _disk_of_backups(folder: Path, shares: bool) -> Check:
    if shares:
        detail = f"{folder}: on the database's own disk; name another with backup.folder"
        return Check("backup disk", "warn", detail)
    return Check("backup disk", "ok", f"{folder}: on a disk of its own")


def _nearest(folder: Path) -> Path:
    """The folder, or what of it is there already."""
    folder = folder.absolute()
    return next(place for place in (folder, *folder.parents) if place.exists())


# ----------------------------------------------------------------------------------- permissions


def _permissions(path: Path) -> Iterator[Check]:
    folder = _folder(path)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Check("folder", "fail", f"{folder}: not writable for this user")
    else:
        yield Check("folder", "ok", f"{folder}: writable")
    for name, file, private in (
        ("database file", path, False),
        ("head file", head_path(path), False),
        ("control socket", Path(f"{path}.sock"), True),
    ):
        try:
            mode = file.stat().st_mode
        except FileNotFoundError:
            continue
        except OSError as problem:
            yield Check(name, "fail", f"{file}: {problem.strerror}")
            continue
        yield _mode(name, file, mode, private)


def _mode(name: str, file: Path, mode: int, private: bool) -> Check:
    text = f"{file}: mode {stat.S_IMODE(mode):04o}"
    if private and mode & 0o077:
        return Check(name, "fail", f"{text}: others may give commands; `chmod 600 {file}`")
    if mode & 0o002:
        return Check(name, "fail", f"{text}: everybody may change it; `chmod o-w {file}`")
    if not os.access(file, os.R_OK | os.W_OK):
        return Check(name, "fail", f"{text}: not readable and writable for this user")
    if mode & 0o020:
        return Check(name, "warn", f"{text}: its group may change it; `chmod g-w {file}`")
    return Check(name, "ok", text)


# ----------------------------------------------------------------------------------------- venue


def _venue(config: Config) -> Check:
    if not config.venue.socket:
        return Check("venue", "ok", "simulated, in the service's own process")
    address = config.venue.socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_VENUE_TIMEOUT_S)
        try:
            probe.connect(address)
        except OSError as problem:
            reason = problem.strerror or str(problem)
            return Check("venue", "fail", f"{address}: {reason}; start the venue's process")
    return Check("venue", "ok", f"{address}: answers")
