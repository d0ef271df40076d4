"""Session reports for the tests of what shows them."""

from shoal.balancer.report import PartStory, SegmentStory, SessionReport, SourceState

HOSTILE = '</script><img src=x onerror=alert(1)>\x1b[2J\u202e"&'


def part(source: str, first_byte: int, byte_count: int, started_us: int = 0, **story) -> PartStory:
    story.setdefault("outcome", "ended")
    return PartStory(source=source, first_byte=first_byte, byte_count=byte_count, started_us=started_us, **story)


def segment(number: int, *parts: PartStory, **story) -> SegmentStory:
    story.setdefault("uri", f"http://cdn.test/hd_{number:03d}.m4s")
    return SegmentStory(rendition=0, kind="media", number=number, duration_us=2_000_000, parts=list(parts), **story)


def report_of(*segments: SegmentStory, sources: tuple[str, ...] = ("cdn:good", "peer:x"), **story) -> SessionReport:
    states = [SourceState(name=name, state="healthy", used_bytes=400, throughput_bytes_per_s=1e6) for name in sources]
    return SessionReport(url="http://cdn.test/index.m3u8", segments=list(segments), sources=states, **story)


def polluted_and_failed_over() -> SegmentStory:
    """A peer's second block was wrong; a CDN went on from there."""
    return segment(
        1,
        part("peer:x", 0, 200, started_us=100, ended_us=200_000, outcome="wrong", reason="wrong block 1"),
        part("cdn:good", 100, 300, started_us=210_000, ended_us=400_100),
        byte_count=400,
        completed_us=400_100,
        verified="blocks",
        polluted=True,
        failed_over=True,
        failed_over_in_body=True,
    )
