"""What a live page shows, in sections with versions: a client is sent those that changed since it was sent any.

Nothing is queued for anybody. A client that reads slowly is sent fewer versions, one that comes late all of the newest.
"""

from __future__ import annotations

import asyncio
import json


class Feed:
    """The sections of one session; used by one loop alone.

    Attributes:
        version: of the newest section; grows.
        over: whether nothing will change any more.
    """

    def __init__(self) -> None:
        """Have no section."""
        self.version = 0
        self.over = False
        self._sections: dict[str, tuple[int, str]] = {}
        self._changed = asyncio.Condition()

    def put(self, name: str, content: object) -> None:
        """Set a section; the same content again is no change.

        Args:
            name: of the section.
            content: what JSON can say; not NaN, which it cannot.
        """
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        if name not in self._sections or self._sections[name][1] != text:
            self.version += 1
            self._sections[name] = (self.version, text)

    async def publish(self) -> None:
        """Wake everybody who waits for a change."""
        async with self._changed:
            self._changed.notify_all()

    async def finish(self) -> None:
        """Wake everybody for the last time."""
        self.over = True
        await self.publish()

    def since(self, version: int) -> str:
        """Return what changed after a version as a JSON object, by the sections' names; all of them after 0."""
        changed = (f"{json.dumps(name)}:{text}" for name, (number, text) in self._sections.items() if number > version)
        return "{" + ",".join(changed) + "}"

    async def wait(self, version: int, timeout_s: float) -> bool:
        """Wait until there is something newer than a version, or nothing will be; False if the time was up."""
        try:
            async with asyncio.timeout(timeout_s), self._changed:
                await self._changed.wait_for(lambda: self.version > version or self.over)
        except TimeoutError:
            return False
        return True
