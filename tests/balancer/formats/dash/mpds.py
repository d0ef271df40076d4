"""MPDs that the tests of this folder share."""

from shoal.balancer.formats.dash import Mpd, parse

URL = "https://cdn.example/show/main.mpd"
HEAD = '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"'
S = 1_000_000
# 2026-01-31T12:00:00Z
NOON_US = 1_769_860_800 * S

VOD = f"""<?xml version="1.0" encoding="UTF-8"?>
{HEAD} type="static" mediaPresentationDuration="PT10S" minBufferTime="PT2S" profiles="urn:a, urn:b">
  <!-- a comment that stays -->
  <BaseURL serviceLocation="a">https://a.example/v/</BaseURL>
  <BaseURL serviceLocation="b">https://b.example/w/</BaseURL>
  <Period id="p">
    <AdaptationSet id="1" mimeType="video/mp4" lang="en">
      <SegmentTemplate timescale="1000" duration="4000" startNumber="5"
          media="$RepresentationID$/$Number%03d$.m4s" initialization="$RepresentationID$/init.mp4"/>
      <Representation id="hd" bandwidth="900000" codecs="avc1.4d401e" width="1280" height="720" frameRate="30000/1001"/>
      <Representation id="sd" bandwidth="400000" codecs="avc1.4d401e" width="640" height="360"/>
    </AdaptationSet>
    <x:extra xmlns:x="urn:x" y="1 &lt; 2">kept</x:extra>
  </Period>
</MPD>
"""

LIVE = f"""{HEAD} type="dynamic" availabilityStartTime="2026-01-31T12:00:00Z" minimumUpdatePeriod="PT2S"
    timeShiftBufferDepth="PT20S" publishTime="2026-01-31T12:00:00Z">
  <Location>live2.mpd</Location>
  <PatchLocation ttl="60">patch.mpp</PatchLocation>
  <Period id="1" start="PT0S">
    <AdaptationSet mimeType="video/mp4">
      <SegmentTemplate timescale="10" duration="20" media="$Number$.m4s" initialization="i.mp4"/>
      <Representation id="v" bandwidth="1"/>
    </AdaptationSet>
  </Period>
  <UTCTiming schemeIdUri="urn:mpeg:dash:utc:http-xsdate:2014" value="time?a=1&amp;b=2"/>
  <ContentSteering defaultServiceLocation="b" queryBeforeStart="true">https://steer.example/m</ContentSteering>
</MPD>
"""


def one(inner: str, *, of_mpd: str = 'mediaPresentationDuration="PT10S"') -> str:
    """An MPD with one representation whose addressing is `inner`."""
    return (
        f'{HEAD} {of_mpd}><Period><AdaptationSet><Representation id="r" bandwidth="7">{inner}'
        "</Representation></AdaptationSet></Period></MPD>"
    )


def read(text: str, url: str = URL) -> Mpd:
    return parse(text.encode(), url)
