"""What a shell completes: its script, and the names of plugins."""

import click

from orchestrator import app
from orchestrator.errors import NtpError

WITHIN_S = 0.3
"""A person waits for this at the Tab key."""
SHELLS = ("bash", "zsh", "fish")


def plugin_names(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """Return the names that the controller knows; none, and no word, where it does not answer."""
    try:
        where, _ = app.locate(ctx.params.get("files") or (), ctx.params.get("project"))
        told = app.ask(where, "status", within_s=WITHIN_S)
    except (NtpError, OSError):
        return []
    chosen = ctx.params.get("names") or ()
    names = [each["name"] for each in told.get("plugins", ())]
    return [name for name in names if name.startswith(incomplete) and name not in chosen]


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the script that completes commands, options and plugin names in a shell.

    \b
    Examples:
      eval "$(ntpctl completion bash)"        in ~/.bashrc
      eval "$(ntpctl completion zsh)"         in ~/.zshrc
      ntpctl completion fish | source         in ~/.config/fish/config.fish
    """
    from click.shell_completion import get_completion_class

    from orchestrator.cli import group

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    # Not BashComplete.source(): it starts bash to look at its version, and the script may be made elsewhere.
    made = kind(group, {}, "ntpctl", "_NTPCTL_COMPLETE")
    click.echo(made.source_template % made.source_vars())
