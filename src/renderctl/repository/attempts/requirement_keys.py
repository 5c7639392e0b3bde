"""The requirement keys that a process has met: with them an index finds the jobs that suit a worker."""

from sqlalchemy import Connection, select

from renderctl.core.attempts import Claimant
from renderctl.core.requirements import Requirements
from renderctl.repository.attempts import claim_query
from renderctl.repository.schema.jobs import jobs

#: With more keys than this, the open jobs are searched for those that are required now.
_MANY_KEYS = 30


class RequirementKeys:
    """The requirements of each key met so far. A key never changes its meaning."""

    def __init__(self) -> None:
        self._requirements: dict[str, Requirements] = {"": Requirements()}

    def suitable(self, connection: Connection, claimant: Claimant) -> list[str]:
        """Return the keys of requirements that the slot's worker meets."""
        keys = self._required(connection, claimant.pools)
        return [key for key in keys if claimant.capabilities.lacks(self._requirements[key]) is None]

    def _required(self, connection: Connection, pools: tuple[str, ...]) -> list[str]:
        """Return all known keys while they are few, else those of the open jobs now."""
        in_pools, known = {"pools": list(pools)}, sorted(self._requirements)
        keys = {f"key_{number}": key for number, key in enumerate(known)}
        if len(known) <= _MANY_KEYS and not connection.scalar(
            claim_query.has_unknown_keys(len(known)), in_pools | keys
        ):
            return known
        kinds = connection.execute(claim_query.REQUIREMENT_KEYS, in_pools).all()
        unknown = {row.id: row.requirement_key for row in kinds if row.requirement_key not in self._requirements}
        query = select(jobs.c.id, jobs.c.requirements).where(jobs.c.id.in_(unknown))
        for job_id, document in connection.execute(query) if unknown else ():
            self._requirements[unknown[job_id]] = Requirements.from_document(document)
        return [row.requirement_key for row in kinds if row.requirement_key in self._requirements]
