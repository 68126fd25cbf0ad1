"""What sockets are ready, with waits shorter than a millisecond."""

from __future__ import annotations

import select
import selectors


class Poll:
    """What is ready: `epoll` where it exists, whose own waits have whole milliseconds, so short ones go by `select`."""

    def __init__(self) -> None:
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._others = None if self._epoll is not None else selectors.DefaultSelector()

    def watch(self, fd: int, *, writing: bool = False, again: bool = False) -> None:
        if self._epoll is not None:
            mask = select.EPOLLIN | (select.EPOLLOUT if writing else 0)
            (self._epoll.modify if again else self._epoll.register)(fd, mask)
        elif self._others is not None:
            mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if writing else 0)
            (self._others.modify if again else self._others.register)(fd, mask)

    def forget(self, fd: int) -> None:
        if self._epoll is not None:
            self._epoll.unregister(fd)
        elif self._others is not None:
            self._others.unregister(fd)

    def wait(self, seconds: float, most: int) -> list[tuple[int, int]]:
        """Return what is ready, within so many seconds; of many, at most so many where the system can be told."""
        if self._epoll is not None:
            if seconds <= 0:
                return self._epoll.poll(0, most)
            if seconds < 0.003:
                select.select([self._epoll.fileno()], [], [], seconds)
                return self._epoll.poll(0, most)
            return self._epoll.poll(seconds - 0.001, most)
        assert self._others is not None
        ready = self._others.select(max(0.0, seconds))
        return [(key.fd, (mask & 1) | (4 if mask & selectors.EVENT_WRITE else 0)) for key, mask in ready]

    def close(self) -> None:
        if self._epoll is not None:
            self._epoll.close()
        elif self._others is not None:
            self._others.close()
