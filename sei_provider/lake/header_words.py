"""Words that headers of reports are made of, so that a message shows a header and never a name or an address.

A header that SEI does not document may be a cell of a file without its header, or the name of a person in a file with a
column per person. It is shown, or becomes a part of a name in the lake, only if every word of it stands here.
"""

from __future__ import annotations

import re

_TEXT = """
account accounts active activity actor actual added address addresses age alias all amount approver area assigned
assignee author authors average avg bar begin beginning board branch bug bugs build builds business category change
changed changes chapter churn city closed code coding collection column comment comments commit commits committed
committer company complete completed completion component consistency contributor contributors cost count country
created creator creep cycle daily date dates day days delivered delivery department deployment deployments description
dev developer developers devs difference display division done dora duration e effort email emails employee employees
end ended engineer engineers epic epics estimate event export failed failure failures family feature features finish
finished first fix for found frequency from full git github given goal granularity group groups guild handle head
hierarchy high hour hours hrs hygiene id identifier identity ids in intensity issue issues item items iteration jira
job key kind label labels large last lead leader legacy length level line lines link loc location login low mail
manager managers maximum mean median medium member members mental merged message metric metrics middle milestone min
minimum minute minutes missed missing mode month monthly mood mttr name names new nick nickname no note notes number
numbers of office on open opened order org organisation organization other owner owners paid parent path people per
percent percentage percentile period person personnel phone pipeline point points position pr predictability priority
product productivity profile progress project projects prs quality quarter quarterly range rate rating ratio reason
recent refactored release reliability removed repo report reported reporter reporting repository request requests
resolution resolved restore review reviewed reviewer reviewers reviews rework role root row run scm scope score second
seconds section service services severity sex size slug small sprint squad stage start started state status step story
sub subject submitter sum summary supervisor surname system tag tags task tasks team teams test text ticket tickets
time times title to total tree tribe type unit until updated upn url user username users value values velocity version
volume vs week weekly with work worker worktype year
"""
_WORDS = frozenset(_TEXT.split())
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_]+")
_SHAPE = re.compile(r"[\w \t.,:;/()\[\]#%&+*'\"-]{1,100}")


def is_plain_header(header: str) -> bool:
    """Return whether a header is made of known words, and so names no person: `E-Mail Address`, `userId`, `PR_MERGED`.

    Digits alone are no header.
    """
    if not header.isascii() or not _SHAPE.fullmatch(header):
        return False
    parts = [part.lower() for part in _PARTS.findall(header)]
    return any(part in _WORDS for part in parts) and all(part.isdigit() or part in _WORDS for part in parts)
