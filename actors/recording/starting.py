"""A recorder as it is configured: which files, which bounds, which thread.

Responsible for turning `[recorder]` into the parts; how they work is theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from actors.config_keys import Config
from actors.recording.files import InFile, InFolder, Limits, RecordingFiles
from actors.recording.recorder import InlineRecorder, NoRecorder, Recorder
from actors.recording.rows import Header, encode_header
from actors.recording.scribe import RecorderSettings
from fsm.instrument import Instrument
from fsm.timestamps import SECOND_US

_MIB = 1024 * 1024


def recordings_folder(config: Config, database: Path) -> Path:
    """Where a service on this database records."""
    return Path(config.recorder.folder) if config.recorder.folder else Path(f"{database}.ticks")


def recording_files(
    config: Config, place: InFolder | InFile, feed: str, instruments: Sequence[Instrument]
) -> RecordingFiles:
    """Files with a header that names feed and instruments; a single file is not rotated."""
    keys = config.recorder
    rotated = isinstance(place, InFolder)
    limits = Limits(
        total_bytes_max=keys.total_mb_max * _MIB if rotated else 0,
        file_bytes_max=keys.file_mb_max * _MIB if rotated else 0,
        file_us_max=round(keys.file_s_max * SECOND_US) if rotated else 0,
        free_bytes_min=keys.free_mb_min * _MIB,
    )

    def header(number: int, opened_at_us: int) -> bytes:
        return encode_header(
            Header(
                session=place.session,
                number=number,
                opened_at_us=opened_at_us,
                feeds=(feed,),
                instruments=tuple(instruments),
            )
        )

    return RecordingFiles(place=place, limits=limits, header=header)


def recorder_settings(config: Config) -> RecorderSettings:
    """The configured behaviour in the core's units."""
    keys = config.recorder
    return RecorderSettings(
        flush_s=keys.flush_s,
        queue_max=keys.queue_max,
        window_us=keys.window_s * SECOND_US,
        gap_us=round(config.feed.gap_s * SECOND_US),
    )


def service_recorder(
    config: Config,
    database: Path,
    feed: str,
    instruments: Sequence[Instrument],
    at_us: int,
    *,
    inline: bool = False,
) -> Recorder | InlineRecorder | NoRecorder:
    """The started recorder of a service that begins now, where it is not switched off.

    A folder that cannot be made does not stop the service: the recorder says so and keeps trying.
    """
    if not config.recorder.enabled:
        return NoRecorder()
    place = InFolder.of_start(recordings_folder(config, database), at_us)
    files = recording_files(config, place, feed, instruments)
    settings = recorder_settings(config)
    recorder = InlineRecorder(files, settings) if inline else Recorder(files, settings)
    recorder.start()
    return recorder
