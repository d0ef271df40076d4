"""What a session writes into its log names no other viewer, whatever happens with them."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from shoal.balancer.actors import reporter
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


def test_a_peer_that_stays_while_others_come_and_go_is_not_named_when_it_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reporter, "PEERS_MAX", 1)  # names of those who left

    async def main() -> None:
        async with World() as world, AsyncExitStack() as stack:
            await play(await stack.enter_async_context(world.viewer("stays", in_swarm=True)), world.stream)
            async with world.viewer("newcomer", in_swarm=True, peers_max=2) as session:
                await play(session, world.stream, numbers=range(1))
                for number in range(3):
                    async with world.viewer(f"peer{number}", in_swarm=True) as passing:
                        await play(passing, world.stream, numbers=range(1))
                        await asyncio.sleep(20)
                await asyncio.sleep(20)
                await stack.aclose()
                await asyncio.sleep(20)
                report = await session.report()
            ids = [state.name.removeprefix("peer:") for state in report.sources if state.name.startswith("peer:")]
            assert sum(" left: " in line for line in report.log) == len(ids) == 4
            assert [name for name in ids if name in "\n".join(report.log)] == []

    run_virtual(main())


def test_who_looks_for_a_fault_may_have_them() -> None:
    async def main() -> None:
        log, secrets = await logged(log_viewers=True, kind="noise")
        assert sum(secret in log for secret in secrets) > 5

    run_virtual(main())
