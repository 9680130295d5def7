"""The small world: everyday nouns, the Fluent emoji that shows each, and its own colour.

`TRAIN` nouns are seen in training; `HELD_OUT` nouns never are. A colour of None means that the object has no
single colour that a person would name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    name: str
    emoji: str  # file stem in the asset package: code points in hexadecimal; "" for what we draw
    colour: str | None = None
    also: tuple[str, ...] = ()  # other names for it

    @property
    def plural(self) -> str:
        """ "cup of coffee" -> "cups of coffee"."""
        head, of, rest = self.name.partition(" of ")
        if head in _PLURALS:
            head = _PLURALS[head]
        elif head.endswith(("s", "x", "ch", "sh")):
            head += "es"
        elif head.endswith("y") and head[-2] not in "aeiou":
            head = head[:-1] + "ies"
        else:
            head += "s"
        return head + of + rest


_PLURALS = (
    {"loaf": "loaves", "knife": "knives"}
    | {
        name: name
        for name in ("fish", "sheep", "dice", "scissors", "glasses", "headphones", "fries", "socks", "grapes")
    }
    | {name: name for name in ("cherries", "pancakes", "sunglasses", "popcorn", "broccoli", "bread", "sushi")}
)

SIGN = Noun("sign", "", also=("board",))  # drawn by data/sprites/signs.py, with a word on it

TRAIN: tuple[Noun, ...] = (
    Noun("apple", "1f34e", "red"),
    Noun("banana", "1f34c", "yellow"),
    Noun("pear", "1f350", "green"),
    Noun("orange", "1f34a", "orange", also=("tangerine",)),
    Noun("lemon", "1f34b", "yellow"),
    Noun("strawberry", "1f353", "red"),
    Noun("pineapple", "1f34d", "yellow"),
    Noun("peach", "1f351", "pink"),
    Noun("carrot", "1f955", "orange"),
    Noun("broccoli", "1f966", "green"),
    Noun("mushroom", "1f344", "red"),
    Noun("loaf of bread", "1f35e", also=("bread",)),
    Noun("hamburger", "1f354", also=("burger",)),
    Noun("pizza", "1f355", also=("slice of pizza",)),
    Noun("doughnut", "1f369", "pink", also=("donut",)),
    Noun("cake", "1f370", also=("slice of cake",)),
    Noun("cookie", "1f36a", also=("biscuit",)),
    Noun(
        "cup of coffee",
        "2615",
        also=(
            "coffee",
            "mug",
        ),
    ),
    Noun("teapot", "1fad6"),
    Noun("key", "1f511", "yellow"),
    Noun("book", "1f4d5", "red"),
    Noun(
        "backpack",
        "1f392",
        "red",
        also=(
            "school bag",
            "rucksack",
        ),
    ),
    Noun("umbrella", "2602-fe0f", "purple", also=("parasol",)),
    Noun("alarm clock", "23f0", "red"),
    Noun("camera", "1f4f7"),
    Noun(
        "phone",
        "1f4f1",
        also=(
            "mobile phone",
            "smartphone",
        ),
    ),
    Noun("laptop", "1f4bb", also=("notebook computer",)),
    Noun("light bulb", "1f4a1", "yellow", also=("lamp",)),
    Noun("guitar", "1f3b8", "red"),
    Noun("balloon", "1f388", "red"),
    Noun(
        "gift",
        "1f381",
        "yellow",
        also=(
            "present",
            "wrapped box",
        ),
    ),
    Noun("teddy bear", "1f9f8", also=("stuffed bear",)),
    Noun("football", "26bd", also=("soccer ball",)),
    Noun("hat", "1f3a9", also=("top hat",)),
    Noun(
        "shoe",
        "1f45f",
        "blue",
        also=(
            "sneaker",
            "trainer",
        ),
    ),
    Noun("cat", "1f408", also=("kitten",)),
    Noun("dog", "1f415", also=("puppy",)),
    Noun("car", "1f697", "red", also=("automobile",)),
    Noun(
        "potted plant",
        "1fab4",
        "green",
        also=(
            "plant",
            "house plant",
        ),
    ),
    Noun("rose", "1f339", "red"),
    Noun("duck", "1f986"),
    Noun("fish", "1f41f", "blue"),
    Noun("turtle", "1f422", "green", also=("tortoise",)),
    Noun("bell", "1f514", "yellow"),
    Noun("chair", "1fa91"),
    Noun("crown", "1f451", "yellow"),
    Noun("cherries", "1f352", "red"),
    Noun("grapes", "1f347", "purple"),
    Noun("watermelon", "1f349", "green"),
    Noun("avocado", "1f951", "green"),
    Noun("coconut", "1f965"),
    Noun("mango", "1f96d", "orange"),
    Noun("aubergine", "1f346", "purple", also=("eggplant",)),
    Noun("potato", "1f954"),
    Noun("cucumber", "1f952", "green"),
    Noun("pepper", "1fad1", "green", also=("bell pepper",)),
    Noun("onion", "1f9c5"),
    Noun("corn", "1f33d", "yellow", also=("corn cob",)),
    Noun("croissant", "1f950"),
    Noun("pancakes", "1f95e"),
    Noun("waffle", "1f9c7"),
    Noun("cheese", "1f9c0", "yellow", also=("piece of cheese",)),
    Noun("hot dog", "1f32d"),
    Noun("sandwich", "1f96a"),
    Noun("fries", "1f35f", "red", also=("French fries",)),
    Noun("popcorn", "1f37f", "red"),
    Noun("egg", "1f95a"),
    Noun("salad", "1f957", "green"),
    Noun("bowl of noodles", "1f35c"),
    Noun("sushi", "1f363"),
    Noun("ice cream", "1f366"),
    Noun("chocolate bar", "1f36b"),
    Noun("lollipop", "1f36d"),
    Noun("pie", "1f967"),
    Noun("birthday cake", "1f382"),
    Noun("beer", "1f37a", "yellow", also=("mug of beer",)),
    Noun("wine glass", "1f377", "red", also=("glass of wine",)),
    Noun("cocktail", "1f379"),
    Noun("bottle", "1f37e", "green", also=("champagne bottle",)),
    Noun("honey pot", "1f36f"),
    Noun("candle", "1f56f-fe0f"),
    Noun("lantern", "1f3ee", "red"),
    Noun("vase", "1f3fa", "orange"),
    Noun("bed", "1f6cf-fe0f"),
    Noun("sofa", "1f6cb-fe0f", also=("couch",)),
    Noun("door", "1f6aa"),
    Noun("ladder", "1fa9c"),
    Noun("bucket", "1faa3", also=("pail",)),
    Noun("basket", "1f9fa"),
    Noun("scissors", "2702-fe0f", "red"),
    Noun("pencil", "270f-fe0f", "yellow"),
    Noun("envelope", "2709-fe0f", "white", also=("letter",)),
    Noun("parcel", "1f4e6", also=("cardboard box",)),
    Noun("suitcase", "1f9f3"),
    Noun("purse", "1f45b", "pink"),
    Noun("watch", "231a"),
    Noun("telephone", "260e-fe0f", "red"),
    Noun("television", "1f4fa", also=("TV",)),
    Noun("radio", "1f4fb"),
    Noun("computer", "1f5a5-fe0f", also=("monitor",)),
    Noun("microphone", "1f3a4"),
    Noun("headphones", "1f3a7"),
    Noun("magnifying glass", "1f50d"),
    Noun("padlock", "1f512", "yellow", also=("lock",)),
    Noun("screwdriver", "1fa9b"),
    Noun("axe", "1fa93"),
    Noun("anchor", "2693"),
    Noun("telescope", "1f52d"),
    Noun("globe", "1f30e"),
    Noun("kite", "1fa81"),
    Noun("dice", "1f3b2", also=("die",)),
    Noun("drum", "1f941", "red"),
    Noun("violin", "1f3bb"),
    Noun("piano", "1f3b9"),
    Noun("tennis racket", "1f3be"),
    Noun("baseball", "26be", "white"),
    Noun("trophy", "1f3c6", "yellow", also=("cup",)),
    Noun("skateboard", "1f6f9"),
    Noun("bicycle", "1f6b2", also=("bike",)),
    Noun("scooter", "1f6f4"),
    Noun("motorcycle", "1f3cd-fe0f", also=("motorbike",)),
    Noun("bus", "1f68c"),
    Noun("truck", "1f69a", also=("lorry",)),
    Noun("tractor", "1f69c"),
    Noun("taxi", "1f695", "yellow", also=("cab",)),
    Noun("train", "1f686"),
    Noun("aeroplane", "2708-fe0f", also=("plane",)),
    Noun("helicopter", "1f681"),
    Noun("rocket", "1f680"),
    Noun("sailing boat", "26f5", also=("sailboat",)),
    Noun("tent", "26fa"),
    Noun("house", "1f3e0"),
    Noun("tree", "1f333", "green"),
    Noun("fir tree", "1f332", "green", also=("pine tree",)),
    Noun("palm tree", "1f334"),
    Noun("cactus", "1f335", "green"),
    Noun("sunflower", "1f33b", "yellow"),
    Noun("bouquet", "1f490", "bunch_of_flowers"),
    Noun("snowman", "2603-fe0f", "white"),
    Noun("pumpkin", "1f383", "orange", also=("jack-o'-lantern",)),
    Noun("Christmas tree", "1f384", "green"),
    Noun("horse", "1f40e"),
    Noun("cow", "1f404"),
    Noun("pig", "1f416", "pink"),
    Noun("sheep", "1f411"),
    Noun("rabbit", "1f407"),
    Noun("elephant", "1f418"),
    Noun("monkey", "1f412"),
    Noun("owl", "1f989"),
    Noun("flamingo", "1f9a9", "pink"),
    Noun("butterfly", "1f98b", "blue"),
    Noun("bee", "1f41d", "yellow"),
    Noun("snail", "1f40c"),
    Noun("frog", "1f438", "green"),
    Noun("crab", "1f980", "red"),
    Noun("octopus", "1f419"),
    Noun("whale", "1f40b", "blue"),
    Noun("fox", "1f98a", "orange"),
    Noun("lion", "1f981"),
    Noun("tiger", "1f405", "orange"),
    Noun("giraffe", "1f992"),
    Noun("dinosaur", "1f996", "green"),
    Noun("robot", "1f916"),
    Noun("T-shirt", "1f455", "blue", also=("shirt",)),
    Noun("dress", "1f457", "blue"),
    Noun("scarf", "1f9e3", "red"),
    Noun("socks", "1f9e6"),
    Noun("boot", "1f462"),
    Noun("cap", "1f9e2", "blue"),
    Noun("glasses", "1f453"),
    Noun("necktie", "1f454", also=("tie",)),
    SIGN,
)

HELD_OUT: tuple[Noun, ...] = (
    Noun("tomato", "1f345", "red"),
    Noun("kiwi", "1f95d"),
    Noun("cupcake", "1f9c1"),
    Noun("trumpet", "1f3ba", "yellow"),
    Noun("basketball", "1f3c0", "orange"),
    Noun("tulip", "1f337", "pink"),
    Noun("penguin", "1f427"),
    Noun("hammer", "1f528"),
    Noun("blueberries", "1fad0", "blue"),
    Noun("pretzel", "1f968"),
    Noun("taco", "1f32e"),
    Noun("glass of milk", "1f95b", "white"),
    Noun("mirror", "1fa9e"),
    Noun("handbag", "1f45c", "pink"),
    Noun("video camera", "1f4f9", also=("camcorder",)),
    Noun("wrench", "1f527", also=("spanner",)),
    Noun("saxophone", "1f3b7", "yellow"),
    Noun("volleyball", "1f3d0"),
    Noun("ambulance", "1f691", "white"),
    Noun("rooster", "1f413"),
    Noun("parrot", "1f99c", "red"),
    Noun("dolphin", "1f42c", "blue"),
    Noun("zebra", "1f993"),
    Noun("sandal", "1f461"),
    Noun("gem", "1f48e", "blue", also=("diamond",)),
)
