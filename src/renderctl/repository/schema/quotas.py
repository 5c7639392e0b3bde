"""The table of quotas: what is used is counted from the tables of what it is; here requests wait for each other."""

from sqlmodel import Field

from renderctl.repository.schema.jobs import Row, table_of


class QuotaLockRow(Row, table=True):
    """Whoever adds to what a user or a project has holds its row until the commit, so that no two count at once."""

    __tablename__ = "quota_lock"

    holder: str = Field(primary_key=True, max_length=300)


quota_locks = table_of(QuotaLockRow)
