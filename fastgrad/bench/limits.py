"""What limits a target that is missed, as its profile showed: the text that stands beside it in the report."""

# What a verdict is about -> one sentence. An entry is printed only where the target is missed.
LIMITS = {}
