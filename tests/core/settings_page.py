"""docs/reference/settings.md, made from config.example.yaml. `python -m tests.core.settings_page` writes it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "settings.md"
_HEAD = """\
# Settings

Made from `config.example.yaml` by `make docs`: every setting with its default, its unit and what it does. All of it is
optional. `renderctl init` writes a config file.

Settings are read from `--config FILE`, else from the file that `RENDERCTL_CONFIG` names, else from `./renderctl.yaml`
(once [`renderctl trust`](../howto/strangers.md#which-config-is-used) has approved it), else from the user's config
folder. Each setting is also an environment variable, which takes precedence: `store.kind` is `RENDERCTL_STORE__KIND`,
and `RENDERCTL_STORE__KIND_FILE` names a file that holds it, such as a secret of a container.
"""


def page() -> str:
    """Return what the file should hold: a section for each top-level key, with the comments above it."""
    text = (ROOT / "config.example.yaml").read_text(encoding="utf-8")
    _, _, settings = text.partition("\n\n")  # without the comment at the head, which the page says itself
    parts = [_HEAD]
    for block in re.split(r"\n\n(?=(?:#.*\n)*\w+:)", settings.strip("\n")):
        key = re.search(r"^(\w+):", block, re.M)
        assert key
        parts.append(f"## {key[1]}\n\n```yaml\n{block}\n```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
