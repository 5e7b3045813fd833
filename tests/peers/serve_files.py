"""Serves a folder by SFTP, as AsyncSSH does it, to whoever has the password of `partner`. Prints its port."""

import asyncio
import sys

import asyncssh


class Door(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True

    def password_auth_supported(self):
        return True

    def validate_password(self, username, password):
        return (username, password) == ("partner", "open sesame")


async def serve(folder, key):
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Door,
        server_host_keys=[key],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=folder),
    )
    print(server.get_port(), flush=True)
    await asyncio.Event().wait()


asyncio.run(serve(*sys.argv[1:]))
