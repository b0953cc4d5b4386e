"""Does an answer refuse? Judged by how it starts, not by what it quotes.

The one place where that is decided: for the live chain, for chains in replay, and for the cue that a cascade's judge
reads.
"""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dacr.types import Bools

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "′": "'"})

# What may stand before the refusal itself: "I'm sorry, but ...".
_OPENING = (
    r"(?:(?:(?:i'm|i am)\s+(?:so\s+|very\s+|really\s+)?(?:sorry|afraid)(?:\s+that)?|sorry|"
    r"i\s+apologi[sz]e(?:\s+for[^.,]{0,40})?|apologies|my apologies|unfortunately|regrettably|no|hmm+|well|niestety|"
    r"przepraszam|przykro mi)\s*[,.;:!–—-]*\s*(?:but\s+|ale\s+)?){0,3}"
)
# Idioms that begin like a refusal and are none, and findings: what can't be found or simplified is an answer.
_IDIOM = (
    r"(?!\s+(?:stress|emphasi[sz]e|overstate|overemphasi[sz]e|thank|wait|agree\s+more|recommend\b.{0,40}\benough|"
    r"help\s+but|imagine|believe|begin\s+to|say\s+enough|praise|"
    r"(?:find|see|spot|detect|identify|notice|think\s+of)\s+(?:an?|any|the)\s+(?:\w+\s+){0,2}(?:mistake|error|bug|flaw|"
    r"fault|problem|issue|difference|contradiction|counterexample|reason|way)s?\b|"
    r"(?:simplify|reduce|factor|factori[sz]e|shorten|improve|optimi[sz]e|compress|expand)\b.{0,30}\b(?:further|more)\b))"
)
_KIND = r"(?:ai|artificial\s+intelligence|(?:large\s+)?language\s+model|assistant|model|system|chatbot|bot|machine)"
# What one says of oneself refuses if the same sentence goes on to say no.
_SAYS_NO = r"[^.:!?]{0,80}?(?:\b(?:not|no|cannot|unable|never|lack|decline|refuse)\b|n't\b)"
_REFUSAL = re.compile(
    r"^" + _OPENING + r"(?:"
    r"i\s+(?:cannot|can\s?not|can't)\b" + _IDIOM + r"|"
    r"i\s+(?:won't|will\s+not)\b(?!\s+(?:lie|bore|go\s+into|repeat|spoil|pretend|sugarcoat))|"
    r"i\s+(?:must|have\s+to|need\s+to)\s+(?:respectfully\s+|politely\s+)?(?:decline|refuse)\b|"
    r"i\s+(?:respectfully\s+)?(?:decline|refuse)\s+to\b|"
    r"(?:i\s+am|i'm)\s+not\s+(?:going\s+to|able|allowed|permitted|comfortable)\b|"
    r"i\s+(?:don't|do\s+not)\s+feel\s+(?:\w+\s+)?(?:comfortable|right)\b|"
    r"i(?:'d|\s+would)\s+(?:rather|prefer)\s+not\b|"
    r"(?:i\s+am|i'm)\s+unable\b|"
    r"i\s+(?:don't|do\s+not)\s+know\b(?!\s+(?:about\s+you|of\s+(?:an?|any)\b))|"
    r"as\s+an?\s+(?:[a-z-]+\s+){0,3}?" + _KIND + r"(?:\s+" + _KIND + r")*\s*,?\s*(?:i|my)\b" + _SAYS_NO + r"|"
    r"(?:i\s+am|i'm)\s+(?:just\s+|only\s+|merely\s+)?an?\s+(?:[a-z-]+\s+){0,3}?" + _KIND + r"\b" + _SAYS_NO + r"|"
    r"(?:(?:this|that|it)(?:'s|\s+is)?|your\s+request\s+is)(?:\s+\w+){0,3}\s+beyond\s+my\s+capabilities\b|"
    r"beyond\s+my\s+capabilities\b|"
    r"nie\s+wiem\b|nie\s+mog[ęe]\b"
    r")"
)
_START_CHARS = 240

# What every refusal starts with, for a look at all answers at once: more than refuses, and nothing less.
_SPACE = r"\s\pZ\x{1c}-\x{1f}\x{85}"
_MAY_REFUSE = (
    rf"(?i)^[{_SPACE}\"'’‘ʼ`´′*_#>(-]*(?:i\b|i['’‘ʼ`´′]|sorry|my[{_SPACE}]+apolog|apolog|as[{_SPACE}]+an?\b|unfortunately|"
    rf"regrettably|no\b|hmm|well|nie|przepraszam|przykro|th(?:is|at)|it\b|it['’‘ʼ`´′]|your[{_SPACE}]|beyond[{_SPACE}]|$)"
)


def is_refusal(text: str) -> bool:
    """Say whether an answer refuses; an empty one does.

    Examples
    --------
    >>> is_refusal("I can’t help with that."), is_refusal("Tesla has an AI team.")
    (True, False)
    """
    start = text.translate(_APOSTROPHES).strip()
    if not start:
        return True
    if text.lstrip().startswith("```"):
        return False
    start = re.sub(r"\s+", " ", start[:_START_CHARS].lstrip("\"'*_#>- (").lower())
    return _REFUSAL.match(start) is not None


def refusals(responses: pa.Array, asked: Bools | None = None) -> Bools:
    """Say of many answers at once whether they refuse, as :func:`is_refusal` does of each.

    Parameters
    ----------
    responses : pyarrow string array of n
    asked : (n,) bool, optional
        Which answers to look at; the others do not refuse.

    Returns
    -------
    (n,) bool
    """
    found = pc.match_substring_regex(pc.fill_null(responses, ""), _MAY_REFUSE)
    out: Bools = found.to_numpy(zero_copy_only=False).astype(bool)
    if asked is not None:
        out &= asked
    rows = np.flatnonzero(out)
    out[rows] = [is_refusal(text or "") for text in responses.take(pa.array(rows)).to_pylist()]
    return out
