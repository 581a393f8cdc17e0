"""A project that ntpctl is asked about, whose plugins are the bundled ones."""

import pytest

from tests.worlds.answering import Desk, RealCode


@pytest.fixture
async def real_desk(tmp_path):
    made = Desk(tmp_path)
    made.house.catalog = RealCode(tmp_path)
    async with made.open() as opened:
        yield opened
