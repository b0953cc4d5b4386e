"""The words that the sample's prompts are made of, written by hand.

Nouns tell the domain; easy and hard adjectives and verbs tell the difficulty and are shared by all
domains; the stem of a question tells its kind. Lists are cut at ``|``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def words(text: str) -> NDArray[np.object_]:
    """Cut ``"a | b"`` into an array of words."""
    return np.array([item.strip() for item in text.split("|")], dtype=object)


EASY = words(
    "common | simple | small | large | familiar | ordinary | basic | usual | plain | well known | everyday | typical"
    " | recent | clear | early | second"
)
HARD = words(
    "asymptotic | counterfactual | heterogeneous | residual | latent | idiosyncratic | orthogonal | contested"
    " | recursive | stochastic | degenerate | non-trivial | marginal | ambiguous | conditional | intertwined"
)
EASY_VERB = words("changes | helps | supports | follows | needs | uses | shapes | limits | protects | moves")
HARD_VERB = words(
    "attenuates | subsumes | presupposes | confounds | obviates | precludes | modulates | invalidates | entails"
    " | circumscribes"
)
EASY_TAIL = words(
    "in most cases | every day | at the start | in a simple way | over time | for most people | as a rule"
    " | in the first year | near the end | without much effort"
)
HARD_TAIL = words(
    "only if a prior assumption is dropped | notwithstanding the stated exception | up to a constant factor"
    " | unless two conditions hold jointly | in the limit of many trials | under a disputed reading"
    " | when the usual bound is not tight | after correcting for selection"
    " | if and only if the converse fails | despite an apparent contradiction"
)

# Nouns of each single-choice domain.
NOUNS = {
    "arc-challenge": words(
        "magnet | rock layer | food chain | water cycle | telescope | battery | volcano | habitat | season | mineral"
        " | moon phase | predator | circuit | fossil | thermometer | erosion | sunlight | seedling | gas | lever"
    ),
    "hellaswag": words(
        "rope | bucket | kayak | guitar | ladder | hockey stick | lawn mower | diving board | pancake | paint roller"
        " | bicycle wheel | fishing line | drum | camera | snow shovel | violin | basketball | dog | hedge | surfboard"
    ),
    "mmlu-college-computer-science": words(
        "hash table | compiler | cache line | binary tree | scheduler | graph | page fault | mutex | grammar | pipeline"
        " | register | heap | Turing machine | packet | instruction set | sorting routine | automaton | query plan"
    ),
    "mmlu-college-mathematics": words(
        "matrix | eigenvalue | vector space | abelian group | polynomial | integral | homomorphism | metric space"
        " | sequence | ring | determinant | subspace | permutation | derivative | kernel | continuous map | basis"
    ),
    "mmlu-college-medicine": words(
        "enzyme | muscle fibre | glucose level | kidney | hormone | heart valve | receptor | artery | patient | drug"
        " | lactate threshold | plasma | reflex | biopsy | antibody | liver | tendon | insulin dose"
    ),
    "mmlu-high-school-biology": words(
        "cell membrane | gene | chromosome | ecosystem | mitosis | chloroplast | allele | ribosome | pollen | mutation"
        " | population | species | enzyme | root | protein | diffusion rate | nucleus | offspring"
    ),
    "mmlu-high-school-macroeconomics": words(
        "inflation rate | aggregate demand | central bank | budget deficit | interest rate | tariff | money supply"
        " | currency | recession | price level | exchange rate | tax cut | bond market | labour force | multiplier"
    ),
    "mmlu-high-school-psychology": words(
        "memory | reinforcement | infant | stimulus | personality test | anxiety | perception | therapist | neuron"
        " | attitude | dream | learned habit | motivation | attachment | IQ score | bystander | hippocampus"
    ),
    "mmlu-marketing": words(
        "brand | customer | price discount | segment | retailer | campaign | product line | slogan | loyalty card"
        " | survey | advertisement | sales force | channel | package | target market | logo | coupon"
    ),
    "mmlu-moral-scenarios": words(
        "promise | neighbour | borrowed car | lie | stranger | wallet | wedding | donation | roommate | apology"
        " | exam paper | secret | sick friend | queue | broken vase | rescue dog | inheritance"
    ),
    "mmlu-nutrition": words(
        "vitamin | dietary fibre | calcium intake | fatty acid | breakfast | mineral supplement | protein source"
        " | sodium | energy need | whole grain | iron store | body weight | infant formula | sugar | antioxidant"
    ),
    "mmlu-philosophy": words(
        "virtue | categorical imperative | utilitarian | sceptic | free will | moral duty | social contract | argument"
        " | happiness | divine command | hedonist | natural right | soul | conscience | premise | free agent"
    ),
    "mmlu-professional-law": words(
        "plaintiff | contract | statute | hearsay | defendant | easement | negligence claim | warrant | landlord"
        " | jury | testimony | felony charge | trustee | deed | appeal | witness | tort | constitutional right"
    ),
    "mmlu-world-religions": words(
        "monk | temple | scripture | pilgrim | prophet | ritual | covenant | shrine | fasting rule | sect | hymn"
        " | rabbi | sutra | mosque | festival | deity | priest | caste"
    ),
}

# Stems per kind of question: recall, reason, number, except.
STEMS = (
    words(
        "Which name is given to the {a} that {v} the {b}? | Which of the following is the {a} that {v} the {b}?"
        " | Who or what first described the {a} that {v} the {b}? | What is the {b} called when the {a} {v} it?"
    ),
    words(
        "Which of these best explains why the {a} {v} the {b}? | Why would the {a} matter once it {v} the {b}?"
        " | Which conclusion follows if the {a} {v} the {b}? | What is most likely to happen when the {a} {v} the {b}?"
    ),
    words(
        "How many units of the {a} remain if it {v} the {b} {i} times out of {j}?"
        " | What is the ratio when the {a} {v} the {b} in {i} of {j} trials?"
        " | Calculate the value of the {a} if it {v} the {b} at {i} percent over {j} steps."
        " | If the {a} {v} the {b} {i} times, and {j} are counted, what is the total number?"
    ),
    words(
        "All of the following are true of the {a} that {v} the {b} EXCEPT"
        " | Which statement about the {a} that {v} the {b} is NOT correct?"
        " | Which of these is least likely if the {a} {v} the {b}?"
        " | None of the following is false of the {a} which {v} the {b}, EXCEPT which one?"
    ),
)

NAMES = words(
    "Maria | Owen | Leila | Tom | Priya | Felix | Nora | Hugo | Ines | Karl | Amara | Ben | Chloe | Dmitri | Esther"
    " | Farid | Greta | Hassan | Ivy | Jonas | Kofi | Lena | Mateo | Nadia | Oskar | Paula | Quinn | Rosa | Sven | Tara"
)
THINGS = words(
    "apples | pencils | tickets | marbles | cookies | stamps | bottles | eggs | shells | chairs | books | candles"
    " | buttons | cards | flowers | bricks | coins | lemons | muffins | stickers"
)
PLACES = words(
    "market | school fair | farm | bakery | library | garden | workshop | harbour | station | museum | camp | shop"
)
TRAITS = words(
    "careful | tired | rich | strong | late | honest | hungry | nervous | patient | clever | loud | generous | tall"
    " | experienced | shy | lucky"
)
DEEDS = words(
    "lent the tent to | asked for help from | refused to race | cooked a meal for | wrote a letter to"
    " | sold the old piano to | hid the present from | explained the rules to | borrowed a coat from"
    " | waited an hour for | taught a song to | walked home with | blamed the delay on | gave the window seat to"
)
SCENES = words(
    "at the lake | in a gym | on the roof | in a kitchen | near the beach | on a stage | in the yard | at a fair"
    " | beside the road | in a studio | on the ice | in the park"
)
ACTS = words(
    "picks up | looks at | walks around | carefully lifts | points to | holds | cleans | swings | carries | drops"
    " | turns over | pulls on"
)

CODE_VERBS = words(
    "find | count | remove | sort | merge | check | reverse | convert | extract | compute | replace | group | split"
    " | select | list | compare | rotate | flatten | sum | filter"
)
CODE_EASY = words(
    "the even numbers in a list | the vowels in a string | the largest item of a tuple | the words of a sentence"
    " | the duplicate items of a list | the keys of a dictionary | the first letter of each word"
    " | the digits of a number | the common elements of two lists | the empty strings of a list"
    " | the area of a square | the last element of each row | the negative numbers of an array"
    " | the uppercase letters of a string"
)
CODE_HARD = words(
    "the longest increasing subsequence of an array | the minimum number of rotations of a string by recursion"
    " | the maximum path sum in a triangle using dynamic programming | the n-th polite number"
    " | the overlapping matches of a regex | the subsets with a given xor | the k closest pairs in a nested tuple"
    " | the palindromic partitions of a string | the inversion count of a permutation using a heap queue"
    " | the lattice paths that avoid a diagonal | the bell number of n partitions | the sum of all bit rotations"
    " | the smallest missing element in a sorted matrix | the newman prime indices below a bound"
)
CODE_TAILS = words(
    "and return a list | without using a loop | by using lambda functions | of the given input | for a given range"
    " | in a single pass | using a regex | from left to right | for each sublist | at even positions | k times"
    " | by ignoring the case | with the help of a map | up to the n-th item | in the given order | or return None"
)

CHAT_TASKS = words(
    "Write a short travel blog post about | Draft a polite e-mail about | Explain to a child | Compare two views of"
    " | Give a step by step plan for | Write a dialogue about | Summarise the main arguments on | Design a quiz about"
    " | Play the role of a coach and speak about | Prove or refute a claim about"
)
CHAT_TOPICS = words(
    "a weekend in the mountains | rising rents | a faulty bicycle | learning the piano | a colony on Mars"
    " | a robot that cannot lie | the history of tea | probability puzzles | a start-up budget | an antitrust case"
    " | a bus timetable | online exams | the tides | a medieval castle | a vegetable garden | open source licences"
)
CHAT_ASKS = words(
    "Keep it under 200 words. | Use a friendly tone. | Give three examples. | End with a question."
    " | Then list the weak points. | Rhyme every second line. | Cite a source for each claim. | Use a table."
    " | Now rewrite it for an expert. | Avoid the letter q. | Give a numeric estimate with its error."
)

ANIMALS = words("rat | ox | tiger | rabbit | dragon | snake | horse | goat | monkey | rooster | dog | pig")
HANZI = words(
    "山 | 水 | 木 | 火 | 日 | 月 | 心 | 口 | 手 | 门 | 雨 | 田 | 石"
    " | 竹 | 马 | 鸟 | 鱼 | 风 | 云 | 花 | 人 | 目 | 车 | 舟"
)
TEAMS = words(
    "winger | goalkeeper | point guard | pitcher | quarterback | defender | sprinter | coach | referee | striker"
    " | catcher | forward | midfielder | linebacker"
)
PLAYS = words(
    "scored from the corner | threw an interception | hit a double | took a free kick | was called for travelling"
    " | blocked a late shot | stole second base | won the face-off | missed the penalty | ran a slant route"
    " | dunked twice | grounded out"
)
GROUPS = words(
    "nurses | engineers | teenagers | farmers | immigrants | pensioners | lawyers | musicians | drivers | students"
    " | managers | soldiers"
)
RESEARCH = words(
    "graph neural networks | crop yields | sleep quality | bridge vibration | coral reefs | sparse regression"
    " | urban traffic | protein folding | battery ageing | speech disorders | solar cells | migration flows"
    " | dark matter halos | supply chains | gut bacteria | school meals"
)
METHODS = words(
    "a randomised trial | a survey of 40 towns | a Bayesian model | field recordings | a new benchmark"
    " | finite element simulation | a natural experiment | contrastive learning | longitudinal data"
    " | an ablation study | archival records | sensor networks"
)

# Code in whole pieces, so that any stretch of them reads like a program.
CODE_PIECES = np.array(
    [
        "def solve_#(items):\n    result = []\n    for item in items:\n        if item % # == 0:\n"
        "            result.append(item)\n    return result\n\n",
        "import math\n\nBOUND = math.isqrt(#)\n\n",
        "def count_#(text):\n    return sum(1 for sign in text if sign.isalpha()) + #\n\n",
        "limit = 10 * #\n",
        "def best_#(values):\n    best = values[0]\n    for value in values[1:]:\n        best = max(best, value)\n"
        "    return best\n\n",
        "print(solve([1, #, 3]))\n",
        "cache_# = {}\n",
        "def merge_#(left, right):\n    return sorted(set(left) | set(right))[:#]\n\n",
    ],
    dtype=object,
)
