"""What a session writes into its log names no other viewer, whatever happens with them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shoal.runtime.testing import run_virtual

from .impostor import impostor
from .test_swarm import hold, holders, polluting
from .world import World, play


async def logged(*, log_viewers: bool, kind: str) -> tuple[str, set[str]]:
    """The log of a viewer that met honest peers, a polluter and one of no use; and their ids and addresses."""
    async with World() as world, AsyncExitStack() as stack, impostor(world, kind):
        liar = await stack.enter_async_context(world.viewer("liar", in_swarm=True, tamper=polluting))
        await hold(liar, world)
        async with world.viewer("newcomer", in_swarm=True, log_viewers=log_viewers) as session:
            await play(session, world.stream, numbers=range(3))
            await holders(stack, world, 2)
            await play(session, world.stream, numbers=range(3, 8))
            await asyncio.sleep(30)
            report = await session.report()
        ids = {state.name.removeprefix("peer:") for state in report.sources if state.name.startswith("peer:")}
        names = ("liar", "peer0", "peer1", "impostor", "newcomer")
        return "\n".join(report.log), ids | {world.network.host(name).address for name in names}


@pytest.mark.parametrize("kind", ["silent", "noise", "leaves"])
def test_a_log_holds_no_peer_id_and_no_address(kind: str) -> None:
    async def main() -> None:
        log, secrets = await logged(log_viewers=False, kind=kind)
        assert len(secrets) > 5
        assert "peer-1 joined" in log
        assert "is banned: wrong bytes" in log
        assert [secret for secret in secrets if secret in log] == []

    run_virtual(main())


def test_who_looks_for_a_fault_may_have_them() -> None:
    async def main() -> None:
        log, secrets = await logged(log_viewers=True, kind="noise")
        assert sum(secret in log for secret in secrets) > 5

    run_virtual(main())
