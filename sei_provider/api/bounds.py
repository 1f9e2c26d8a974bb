"""Bounds on what one answer of SEI may cost, each with its reason: bytes, entries and seconds. docs/security.md tells
what happens beyond each.

No bound is reached by an SEI that works. A server that is broken or means harm reaches them, and gets an error.
"""

from __future__ import annotations

HEAD_BYTES = 256 * 1024
"""Bytes before and with an answer's headers: h11 limits one head to 100 KiB, but takes any number of interim answers
(`100 Continue`)."""
REPLY_BYTES = 4 * 1024 * 1024
"""Bytes of a JSON reply once unpacked: a page of 100 exports has some hundred KiB."""
REPLY_VALUES = 100_000
"""JSON values of a reply, counted before it is parsed: a parsed value takes up to 240 bytes, however short its text."""
TREE_BYTES = 16 * 1024 * 1024
"""As `REPLY_BYTES`, for the teams of an org tree, which come in one reply: enough for 50,000 teams."""
TREE_VALUES = 500_000
"""As `REPLY_VALUES`, for the teams of an org tree."""
PAGE_ENTRIES = 200
"""Entries of a list's page: twice as many as are asked for."""
LIST_PAGES = 1000
"""Pages of a list, so 100,000 entries."""
TREE_LEVELS = 100
"""Levels of an org tree: far more than an organization has, and few enough to walk recursively."""
TREE_PATH_CHARS = 32 << 20
"""Characters of the paths of all teams of a tree: a path repeats the names of all teams above, so long names high up
would take gigabytes. 50,000 teams with paths of 200 characters take a third."""
ERROR_BYTES = 64 * 1024
"""Bytes of an error's body that are read: its beginning tells the reason."""
DOWNLOAD_BYTES = 16 << 30
"""Bytes of a download where no other limit is given: as many as the lake takes of an unpacked file by default."""
SMALL_CHUNKS = 1000
"""Chunks of a body after which they have to hold `SMALL_CHUNK_BYTES` on average: each chunk takes as long to read as
several KiB, so a body of single bytes would take minutes of computing."""
SMALL_CHUNK_BYTES = 32
LINK_CHARS = 2000
"""Characters of a download link, or of a name that SEI sends."""
ID_CHARS = 200
"""Characters of an id that SEI sends: ids travel through XComs and name files."""
MESSAGE_CHARS = 300
"""Characters of SEI's words in an error or log."""
CONNECT_SECONDS = 10.0
"""Seconds to connect."""
SILENCE_SECONDS = 60.0
"""Seconds between two chunks of an answer."""
REPLY_SECONDS = 120.0
"""Seconds from sending a call to the end of a JSON reply, or to the headers of a download."""
REPORT_SECONDS = 900.0
"""Seconds from sending a call to the headers of a legacy report: SEI computes it before it answers."""
DOWNLOAD_SECONDS = 3600.0
"""Seconds from the headers to the end of a file: the largest at 5 MB a second."""
ERROR_SECONDS = 10.0
"""Seconds for the body of an error: its status is enough if it takes longer."""
RETRY_AFTER_SECONDS = 300.0
"""The longest Retry-After that is honoured."""
PATIENCE_SECONDS = 300.0
"""Seconds for the attempts of a call when the client has no deadline."""
GRACE_SECONDS = 10.0
"""Seconds that a call under way at the client's deadline has to end, because its result may be ready."""
THREAD_BYTES = 64 * 1024
"""Bytes of a reply above which the asyncio client parses it in a thread, because parsing more would hold its event loop
for some milliseconds."""
