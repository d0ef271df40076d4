"""The base URLs of an MPD as pathways: what lies where, and when there are any."""

import pytest

from shoal.balancer.base_urls import pathways_of
from shoal.balancer.formats.dash import parse
from shoal.balancer.pathways import PATHWAYS_MAX

HEAD = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT8S">'
SET = (
    '<Period><AdaptationSet><SegmentTemplate media="$Number$.m4s" duration="4"/>'
    '<Representation id="1" bandwidth="1"><BaseURL>hd/</BaseURL></Representation>'
    '<Representation id="2" bandwidth="1"><BaseURL>sd/</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
TWO = (
    '<BaseURL serviceLocation="a">https://a.example/v/</BaseURL>'
    '<BaseURL serviceLocation="b">https://b.example/x/w/</BaseURL>'
)


def found(inner, *, rest=SET):
    return pathways_of(parse(f"{HEAD}{inner}{rest}".encode(), "https://cdn.example/show/main.mpd"))


def test_each_service_location_is_a_pathway_and_the_first_is_home():
    pathways, beyond = found(TWO)
    assert (pathways.home, pathways.ids, beyond) == ("a", ("a", "b"), 0)
    routes = pathways.routes()
    assert routes["b"].translate("https://a.example/v/hd/3.m4s") == "https://b.example/x/w/hd/3.m4s"
    assert routes["a"].translate("https://a.example/v/sd/3.m4s") == "https://a.example/v/sd/3.m4s"


def test_what_steering_begins_with_is_home():
    steering = '<ContentSteering defaultServiceLocation="b">https://s.example/m</ContentSteering>'
    pathways, _ = found(TWO + steering)
    assert pathways.home == "b"
    assert pathways.routes()["a"].translate("https://b.example/x/w/hd/3.m4s") == "https://a.example/v/hd/3.m4s"


def test_a_better_priority_comes_first():
    dvb = 'xmlns:dvb="urn:dvb:dash:dash-extensions:2014-1" dvb:priority'
    pathways, _ = found(
        f'<BaseURL {dvb}="2">https://a.example/v/</BaseURL><BaseURL {dvb}="1">https://b.example/w/</BaseURL>'
    )
    assert pathways.ids == ("b.example", "a.example")


def test_one_base_url_is_no_choice_unless_somebody_steers():
    one = '<BaseURL serviceLocation="a">https://a.example/v/</BaseURL>'
    assert found(one) is None
    assert found("") is None
    steered, _ = found(f"{one}<ContentSteering>https://s.example/m</ContentSteering>")
    assert steered.ids == ("a",)


@pytest.mark.parametrize("media", ["https://c.example/$Number$", "/$Number$", "//c.example/$Number$"])
def test_templates_that_are_whole_urls_lie_on_no_pathway(media):
    assert found(TWO, rest=SET.replace("$Number$.m4s", media)) is None


def test_pathways_beyond_the_limit_are_left_out_and_counted():
    many = "".join(f"<BaseURL>https://{place}.example/</BaseURL>" for place in range(PATHWAYS_MAX + 3))
    pathways, beyond = found(many)
    assert (len(pathways.ids), beyond) == (PATHWAYS_MAX, 3)
