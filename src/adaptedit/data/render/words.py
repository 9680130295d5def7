"""Words that describe a scene: articles, what has no paint, what signs say, names of places."""

from __future__ import annotations

PLURAL = frozenset(
    ["tulips", "sneakers", "scissors", "headphones", "sunglasses", "glasses", "slippers", "loafers"]
    + ["French fries", "folded clothes", "wood logs", "high heels", "ankle boots"]
)
MASS = frozenset({"bread", "butter", "salad"})
ALIVE = frozenset({"woman", "man", "girl", "boy", "dog", "cat", "rabbit", "hen", "horse"})
GROWN = frozenset(
    ["cactus", "orchid", "tulips", "succulent", "bonsai", "hedge", "bush", "cypress", "salad", "bread"]
    + ["butter", "hamburger", "steak"]
    + ["potted plant", "potted tree", "palm tree", "Christmas tree", "French fries", "hot dog", "fruit bowl"]
    + ["bowl of apples", "roast chicken", "cupcake", "birthday cake", "wood logs", "flower box", "snowman"]
)
UNPAINTED = ALIVE | GROWN
WORDS_ON_SIGNS = (
    "OPEN", "CLOSED", "SALE", "SOLD", "EXIT", "STOP", "HELLO", "WELCOME", "CAFE", "TAXI", "FREE", "NEW",
    "HOTEL", "PIZZA", "BAKERY", "LIBRARY", "MUSEUM", "GARDEN", "SCHOOL", "MARKET", "TOILET", "PRIVATE",
    "DANGER", "WET\nFLOOR", "NO\nENTRY", "NO\nPARKING", "FOR\nRENT", "FOR\nSALE", "THANK\nYOU", "GOOD\nLUCK",
    "PLEASE\nWAIT", "KEEP\nOUT", "ROOM\n12", "GATE\n7", "50% OFF", "2 FOR 1", "$5", "2026", "No. 42", "7 km",
    "Ice cream", "Fresh\nbread", "Happy\nbirthday", "Lost cat", "Today", "Monday", "Coffee", "Books",
    "Tickets", "Parking",
)  # fmt: skip
HDRI_PLACES = {
    "city": "a city square",
    "park": "a meadow",
    "sunrise": "a field at sunrise",
    "sunset": "an old town square",
    "forest": "a forest",
    "sky": "a lake under a cloudy sky",
    "venice": "a harbour",
    "dawn": "a rocky desert",
}
MATERIALS = {
    "wood": "wood",
    "marble": "marble",
    "bricks": "brick",
    "concrete": "concrete",
    "rock": "cracked rock",
    "cardboard": "cardboard",
    "gold": "gold",
    "copper": "copper",
    "steel": "steel",
}
PATTERNS = {"striped wallpaper": "striped", "dotted wallpaper": "polka dot", "checked cloth": "checked"}


def article(words: str) -> str:
    """ "apple" -> "an apple", "red sneakers" -> "some red sneakers"."""
    if any(words.endswith(noun) for noun in PLURAL | MASS):
        return f"some {words}"
    vowel = words[0].lower() in "aeiou" and not words.startswith("one")
    return f"{'an' if vowel or words.startswith('SUV') else 'a'} {words}"


def listed(parts: list[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
