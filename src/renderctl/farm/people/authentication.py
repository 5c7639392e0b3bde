"""Authentication: who shows a password, an invitation, a token or a session.

A server asks this before there is an actor; everything else it asks of the verbs, as that actor.
"""

from renderctl.core.actors import Actor
from renderctl.core.people import Token
from renderctl.farm import Farm
from renderctl.farm.people.last_used import LastUsed
from renderctl.farm.people.secrets import token_digest
from renderctl.farm.people.sessions import LoggedIn, Proof, idle_limit_s, log_in, log_out, sign_up, token_for_login
from renderctl.farm.people.tokens import NewToken, limited_without_totp


class Authentication:
    """Checks credentials of users. Between `start` and `stop` a thread writes when they were last used.

    Valid tokens and sessions are checked without a write.
    """

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self.last_used = LastUsed(farm)

    def start(self) -> None:
        self.last_used.start()

    def stop(self) -> None:
        """Write the last uses that are not written yet."""
        self.last_used.stop()

    def actor_of_token(self, secret: str, *, address: str | None) -> Actor:
        """Who holds this token. Raises TokenRefused, DatabaseUnavailable."""
        use = self._farm.repository.tokens.authenticate(token_digest(secret), address)
        self.last_used.note_token(use.token_id, use.at)
        return limited_without_totp(self._farm, use.actor)

    def actor_of_session(self, secret: str, *, address: str | None) -> tuple[Actor, str]:
        """Whose session it is, and the CSRF token of their forms. Raises TokenRefused, DatabaseUnavailable."""
        digest = token_digest(secret)
        use = self._farm.repository.sessions.authenticate(
            digest, address, idle_s=idle_limit_s(self._farm), seen_at=self.last_used.session_seen_at(digest)
        )
        self.last_used.note_session(digest, use.at, address)
        return limited_without_totp(self._farm, use.actor), use.csrf

    def token(self, secret: str) -> Token:
        """What is known of the token that has this secret. Raises NotFound."""
        return self._farm.repository.tokens.by_digest(token_digest(secret))

    def log_in(self, name: str, password: str, *, address: str | None, proof: Proof) -> LoggedIn:
        """Open a session: see `sessions.log_in`. Raises LoginRefused, CodeNeeded, TooManyGuesses, Busy."""
        return log_in(self._farm, name, password, address=address, proof=proof)

    def create_token(self, name: str, password: str, label: str, *, address: str | None, proof: Proof) -> NewToken:
        """A token for a program that was given a user's password. Raises what `log_in` raises."""
        logged_in = log_in(self._farm, name, password, address=address, proof=proof)
        return token_for_login(self._farm, logged_in, label)

    def sign_up(self, code: str, name: str, password: str, *, address: str | None) -> LoggedIn:
        """Register by an invitation's code, and open a session: see `sessions.sign_up`.

        Raises InvitationRefused, InvalidInput, Conflict, TooManyGuesses, Busy.
        """
        return sign_up(self._farm, code, name, password, address=address)

    def log_out(self, actor: Actor, secret: str) -> None:
        """End the session that has this secret."""
        log_out(self._farm, actor, secret)
