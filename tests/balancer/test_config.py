import msgspec
import pytest

from shoal.balancer.config import BalancerConfig, UnknownSetting, load


def test_settings_left_out_keep_their_defaults():
    assert load({}) == BalancerConfig()
    assert load({"attempts_max": 3}) == BalancerConfig(attempts_max=3)


def test_an_unknown_setting_names_the_nearest_one():
    with pytest.raises(UnknownSetting, match="'stall_limt_us' is not a setting; the nearest is 'stall_limit_us'"):
        load({"stall_limt_us": 1})


@pytest.mark.parametrize(
    ("name", "value"), [("stall_limit_us", 0), ("stall_limit_us", "1"), ("move_gain", 1.5), ("attempts_max", 0)]
)
def test_a_value_out_of_its_range_or_type_is_refused(name, value):
    with pytest.raises(msgspec.ValidationError, match=name):
        load({name: value})


def test_every_setting_says_its_unit_or_is_a_count_or_a_share():
    units = (
        "_us",
        "_us_max",
        "_us_min",
        "_bytes",
        "_bytes_max",
        "_bytes_min",
        "_bytes_per_s",
        "_guess",
        "_max",
        "_share",
    )
    counts = {
        "prefetch_segments",
        "audit_ranges",
        "circuit_failures",
        "released_share_kept",
        "move_gain",
        "switch_gain",
        "swarm_viewers_min",
    }
    switches = {"metered", "upload", "audit", "announce_audited", "announce_unaudited", "log_viewers"}
    names = {"peers_pathway"}
    for name in BalancerConfig.__struct_fields__:
        assert name.endswith(units) or name in counts | switches | names, name


def test_the_defaults_are_within_their_ranges():
    assert load(msgspec.to_builtins(BalancerConfig())) == BalancerConfig()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"surplus_share": 0.8}, "yield_share"),
        ({"move_gain": 0.5}, "switch_gain"),
        ({"retry_backoff_us": 9_000_000}, "retry_backoff_us_max"),
    ],
)
def test_two_settings_that_contradict_each_other_are_refused(settings, named):
    with pytest.raises(msgspec.ValidationError, match=named):
        load(settings)


def test_what_is_divided_by_is_never_nothing():
    for name in ("move_gain", "switch_gain"):
        with pytest.raises(msgspec.ValidationError):
            load({name: 0.0})
