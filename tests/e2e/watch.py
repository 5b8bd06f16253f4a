"""The counters of both rooms, and how they grow."""

import httpx

from tests.polling import wait_until


class Watch:
    """What the rooms counted while a block ran."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.before = self.counts()

    def counts(self) -> dict[str, int]:
        wait_until(self._ask, 60, 0.1)  # a busy room may be too late to be counted in
        return self.told

    def _ask(self) -> bool:
        told = self.client.get("/v1/capabilities").json()
        engine, library = told["engine"], told["library"]
        if "forwards" not in engine or not library:
            return False
        self.told = {name: engine[name] for name in ("forwards", "encodes", "encode_hits")}
        self.told |= library
        return True

    def since(self) -> dict[str, int]:
        """Each counter's growth since the last time."""
        before, self.before = self.before, self.counts()
        return {name: value - before[name] for name, value in self.before.items()}
