"""Deletion needs a second word: an empty or truncated file must not stop a trading desk."""

from collections.abc import Collection, Sequence

SHARE = 0.5

Sources = Sequence[tuple[str, str]]


def objection(
    *,
    applied: Sources,
    new: Sources,
    running: Collection[str],
    kept: Collection[str],
    meant: Collection[str] = (),
) -> str:
    """Return why `new` needs `--allow-deletes`, in words; empty: it does not.

    Args:
        applied: (file, text) of the revision that runs.
        new: the same, about to be applied.
        running: names of the plugins that run now.
        kept: names that `new` declares and enables.
        meant: names that may go: that was said of them. The others are guarded as if those were not there.
    """
    running = set(running) - set(meant)
    removed = sorted(running - set(kept))
    if not removed:
        return ""
    names = ", ".join(removed[:5]) + (f" and {len(removed) - 5} more" if len(removed) > 5 else "")
    if not kept:
        return f"it declares no plugin at all, and {names} would be stopped"
    cut = _cut(dict(applied), new)
    if cut:
        return f"{cut} is the applied text cut off in the middle of a line, and {names} would be stopped"
    if len(removed) > SHARE * len(running):
        return f"it stops {len(removed)} of the {len(running)} plugins that run: {names}"
    return ""


def _cut(applied: dict[str, str], new: Sources) -> str:
    """Name the file that a writer has not finished: a prefix of what was applied, within a line."""
    for file, text in new:
        before = applied.get(file, "")
        if len(text) < len(before) and before.startswith(text):
            inside = not text.endswith("\n") and before[len(text)] not in "\r\n"
            if text.strip() == "" or inside:
                return file
    return ""
