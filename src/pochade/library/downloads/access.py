"""Who gets which token, and what to tell those without."""

from dataclasses import dataclass, field

from pochade.errors import UsageError
from pochade.library.downloads.addresses import origin_of


@dataclass(frozen=True)
class Access:
    """How a site lets people in: who gets which `authorization`, and what to tell those without."""

    origin: str = ""
    authorization: str = field(default="", repr=False)
    advice: str = "it may need a login: give an address that leads to the file itself"

    def headers(self, address: str) -> dict[str, str]:
        """What is sent along to an address: the token only goes to the origin that it belongs to."""
        return {"Authorization": self.authorization} if self.authorization and origin_of(address) == self.origin else {}


def bearer(token: str) -> str:
    """What a token is sent as; empty without one. Raises UsageError, without showing it, for what can be no token."""
    token = token.strip()
    if any(not "!" <= each <= "~" for each in token):
        raise UsageError("The token holds spaces, line breaks or signs that no token has; check where it comes from.")
    return f"Bearer {token}" if token else ""


OPEN = Access()
"""The access to what needs none."""
