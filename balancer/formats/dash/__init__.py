"""DASH manifests (ISO/IEC 23009-1): bytes to values and resources, and to what a player gets.

xml         bytes to elements with their places, through defusedxml, within limits.py
values      attribute values: durations, dates, ranges, URLs
template    $Number$ and its like
addressing  SegmentTemplate, SegmentList, SegmentBase with what they inherit
parser      `parse`: the whole way to an Mpd (mpd.py)
segments    the segments of a representation, and which are there by now
sidx        the index of a file, for SegmentBase
progress    how far a live MPD is, and by when it has to go on
clock       the time of day that players of a live MPD go by
catalogue   representations to the balancer's renditions and Segments
names       what segments are called in the MPD that a player gets
rewrite     the same MPD with other URLs
patch       an MPD and what changed in it to the new one
"""

from .addressing import AddressingKind
from .catalogue import Catalogue, Known
from .limits import Limits
from .mpd import AdaptationSet, BaseUrl, ContentSteering, Descriptor, Mpd, PatchLocation, Period, Representation
from .names import Name, file_name, read_name
from .parser import parse
from .patch import patched
from .rewrite import Namer, Rewritten, rewrite
from .segments import InitSection, MediaSegment, init_of, segments_of
from .sidx import Reference, references
from .template import Template

__all__ = [
    "AdaptationSet",
    "AddressingKind",
    "BaseUrl",
    "Catalogue",
    "ContentSteering",
    "Descriptor",
    "InitSection",
    "Known",
    "Limits",
    "MediaSegment",
    "Mpd",
    "Name",
    "Namer",
    "PatchLocation",
    "Period",
    "Reference",
    "Representation",
    "Rewritten",
    "Template",
    "file_name",
    "init_of",
    "parse",
    "patched",
    "read_name",
    "references",
    "rewrite",
    "segments_of",
]
