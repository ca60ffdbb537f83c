"""The recorder: every tick and trade that arrives, kept in files that `run --data` replays."""
