"""Whoever keeps the servers told outlives what goes wrong: it works for everybody, on its own."""

from structlog.testing import capture_logs


async def test_a_file_that_cannot_be_read_ends_nobody(world):
    """Of a credential of ours, in the moment in which the broker has to be dialled anew."""
    (token,) = (world.folder / "broker" / "keys").glob("user.SYS*.jwt")
    kept = token.read_bytes()
    token.unlink()
    token.mkdir()
    with capture_logs() as logs:
        world.server.kill()
        await world.until(
            lambda: [each for each in logs if each["event"] == "bus.attending_failed"]
        )
    token.rmdir()
    token.write_bytes(kept)
    world.start()
    await world.ensure()
    async with world.link("beta") as beta:
        await beta.bucket.store(b"mine")
        assert await beta.bucket.load() == b"mine"
