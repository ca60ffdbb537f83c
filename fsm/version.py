"""Which holdfast this is; records say by which one they were made."""

VERSION = "0.1.0"
