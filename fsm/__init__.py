"""What may happen: pure state machines and values. Imports nothing of ours and does no I/O."""
