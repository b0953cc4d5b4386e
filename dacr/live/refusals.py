"""Does an answer refuse? Judged by how it starts, not by what it quotes."""

from __future__ import annotations

import re

_APOSTROPHES = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "´": "'", "′": "'"})

_LEGACY = (
    "nie wiem",
    "i cannot",
    "i can't",
    "as an ai",
    "i don't know",
    "i'm not able",
    "i am not able",
    "i'm unable",
    "i am unable",
    "beyond my capabilities",
)

# What may stand before the refusal itself: "I'm sorry, but ...".
_OPENING = (
    r"(?:(?:(?:i'm|i am)\s+(?:so\s+|very\s+|really\s+)?sorry|sorry|i\s+apologi[sz]e(?:\s+for[^.,]{0,40})?|apologies|"
    r"my apologies|unfortunately|regrettably|no|hmm+|well|niestety|przepraszam|przykro mi)\s*[,.;:!–—-]*\s*"
    r"(?:but\s+|ale\s+)?){0,3}"
)
# Idioms that begin like a refusal and are none.
_IDIOM = (
    r"(?!\s+(?:stress|emphasi[sz]e|overstate|overemphasi[sz]e|thank|wait|agree\s+more|recommend\b.{0,40}\benough|"
    r"help\s+but|imagine|believe|begin\s+to|say\s+enough|praise))"
)
_REFUSAL = re.compile(
    r"^" + _OPENING + r"(?:"
    r"i\s+(?:cannot|can\s?not|can't)\b" + _IDIOM + r"|"
    r"i\s+(?:won't|will\s+not)\b(?!\s+(?:lie|bore|go\s+into|repeat|spoil|pretend|sugarcoat))|"
    r"i\s+(?:must|have\s+to|need\s+to)\s+(?:respectfully\s+|politely\s+)?(?:decline|refuse)\b|"
    r"i\s+(?:respectfully\s+)?(?:decline|refuse)\s+to\b|"
    r"(?:i\s+am|i'm)\s+not\s+(?:going\s+to|able|allowed|permitted|comfortable)\b|"
    r"(?:i\s+am|i'm)\s+unable\b|"
    r"i\s+(?:don't|do\s+not)\s+know\b(?!\s+about\s+you)|"
    r"as\s+an?\s+(?:ai|artificial\s+intelligence|large)(?:\s+language)?(?:\s+(?:model|assistant|system|chatbot))?"
    r"\s*,?\s*(?:i|my)\b|"
    r"(?:(?:this|that|it)(?:'s|\s+is)?|your\s+request\s+is)(?:\s+\w+){0,3}\s+beyond\s+my\s+capabilities\b|"
    r"nie\s+wiem\b|nie\s+mog[ęe]\b"
    r")"
)
_START_CHARS = 240


def is_refusal(text: str, legacy: bool = False) -> bool:
    """Say whether an answer refuses; an empty one does.

    Parameters
    ----------
    legacy : bool
        Look for fixed phrases anywhere in the text, as the original does: it rejects good answers
        that contain them and misses curly apostrophes, "I won't" and the empty answer.

    Examples
    --------
    >>> is_refusal("I can’t help with that."), is_refusal("Tesla has an AI team.")
    (True, False)
    >>> is_refusal("Tesla has an AI team.", legacy=True)
    True
    """
    if legacy:
        lowered = text.lower()
        return any(phrase in lowered for phrase in _LEGACY)
    start = text.translate(_APOSTROPHES).strip()
    if not start:
        return True
    if text.lstrip().startswith("```"):
        return False
    start = re.sub(r"\s+", " ", start[:_START_CHARS].lstrip("\"'*_#>- (").lower())
    return _REFUSAL.match(start) is not None
