"""Which source goes on for another."""

from __future__ import annotations

from tests.balancer.test_cdn_choice import CONFIG, SECOND, priced
from tests.balancer.test_policy import SIZE, Table, media, only

from shoal.balancer.cdn_choice import best_cdn
from shoal.balancer.config import BalancerConfig
from shoal.balancer.events import CdnAdded, FetchFromCdn, ResourceRequested, TransferProgressed, TransferStarted


def test_where_none_is_sure_the_cheapest_of_those_about_as_good_is_asked():
    dear, cheap = priced("dear", 4.0), priced("cheap", 1.0, place=1)
    for one in (dear, cheap):
        one.estimate.fell_to(400_000)  # 1 MB in 2.5 s, and it plays in 3
    found = best_cdn([dear, cheap], SIZE, may_explore=False, now_us=0, seed=0, config=CONFIG, slack_us=3 * SECOND)
    assert found is not None
    assert found[0].name == "cheap"


def test_a_late_transfer_goes_to_the_cheapest_that_would_be_soon_enough():
    table = Table(config=BalancerConfig())
    for name, price in (("slow", 0.5), ("dear", 4.0), ("cheap", 1.0)):
        table.feed(CdnAdded(name, price_per_gb=price))
    table.list_segments(range(20))
    assert only(table.feed(ResourceRequested(media(0)))).cdn == "slow"
    seen = table.feed(TransferStarted(1, SIZE))
    for _ in range(20):
        seen += table.feed(TransferProgressed(1, 5_000), after_us=SECOND // 10)
        seen += table.until(table.now_us)
    assert [action.cdn for action in seen if isinstance(action, FetchFromCdn)] == ["cheap"]
