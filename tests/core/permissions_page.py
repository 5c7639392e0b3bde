"""docs/reference/permissions.md, made from the permission table. `python -m tests.core.permissions_page` writes it."""

from pathlib import Path

from renderctl.core.actors import Role
from renderctl.core.permissions import TABLE, Relation, Verdict

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "permissions.md"
_HEAD = """\
# Permissions

Made from the permission table (`src/renderctl/core/permissions.py`) by `make docs`. Every command and the API check it.

For each role: what it may do with its **own** things, with those of others in a **project** that it shares, and with
the **rest**. `yes` is allowed, `no` is refused (exit code 7), `-` is hidden, as if it did not exist (exit code 6). The
last column is the scope that a token needs at least.

Direct mode, with the database's password, has the rights of an admin: see [users, roles and
tokens](../howto/people.md).

"""
_WORDS = {Verdict.ALLOWED: "yes", Verdict.REFUSED: "no", Verdict.HIDDEN: "-"}


def page() -> str:
    """What the file should hold."""
    heads = " | ".join(role.value for role in Role)
    rows = [f"| what | action | {heads} | token |", "|---" * (len(Role) + 3) + "|"]
    for action, rule in TABLE.items():
        cells = []
        for role in Role:
            words = [_WORDS[rule.verdict(role, relation)] for relation in Relation]
            cells.append(words[0] if len(set(words)) == 1 else " / ".join(words))
        rows.append(f"| {rule.summary} | `{action}` | {' | '.join(cells)} | {rule.scope} |")
    return _HEAD + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
