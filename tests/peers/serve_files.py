"""Serves a folder by SFTP, as AsyncSSH does it, to whoever has the password of `partner`. Prints its port.

With a third argument, a file that says `before 3` or `after 3`, it hangs up before or after the third change from then on,
once: whoever asked for that change cannot know whether it was made.
"""

import asyncio
import sys
from pathlib import Path

import asyncssh


class Door(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("partner", "open sesame")


class Cutting(asyncssh.SFTPServer):
    """Hangs up at a change of what it serves."""

    order = None

    def is_due(self, moment):
        """Counts a change, where its moment is the one that was ordered."""
        said = self.order.read_text().split() if self.order and self.order.exists() else []
        if len(said) != 2 or said[0] != moment:
            return False
        left = int(said[1]) - 1
        if left:
            self.order.write_text(f"{moment} {left}")
        else:
            self.order.unlink()
        return left == 0

    def change(self, make, *arguments):
        if self.is_due("before"):
            self.connection.abort()
            raise asyncssh.SFTPConnectionLost("cut before")
        made = make(*arguments)
        if self.is_due("after"):
            self.connection.abort()
        return made

    def rename(self, *arguments):
        return self.change(super().rename, *arguments)

    def posix_rename(self, *arguments):
        return self.change(super().posix_rename, *arguments)

    def remove(self, *arguments):
        return self.change(super().remove, *arguments)

    def mkdir(self, *arguments):
        return self.change(super().mkdir, *arguments)

    def rmdir(self, *arguments):
        return self.change(super().rmdir, *arguments)

    def write(self, *arguments):
        return self.change(super().write, *arguments)


async def serve(folder, key, order=None):
    Cutting.order = order and Path(order)
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda channel: Cutting(channel, chroot=folder),
    )
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


asyncio.run(serve(*sys.argv[1:]))
