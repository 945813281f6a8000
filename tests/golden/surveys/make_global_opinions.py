"""Writes global_opinions.csv: invented questions and shares in the format of Anthropic/llm_global_opinions.

Python's own csv module and repr() make it, as they made the published file. The same bytes every time.
"""
import collections
import csv
import pathlib
import random

COUNTRIES = ["Nigeria", "Egypt", "India (Current national sample)", "China", "Japan", "Brazil"]
# How many of the questions a country was asked: groups are uneven, as in the published file.
ASKED = {"Nigeria": 1.0, "Egypt": 0.9, "India (Current national sample)": 0.6, "China": 0.5, "Japan": 1.0, "Brazil": 0.4}
TOPICS = ["a longer market day", "the new ferry", "free tea in offices", "quiet trains", "taller street lamps",
          "shared gardens", "a shorter working week", "night buses", "paper tickets", "the old bridge",
          "public saunas", "school theatres", "painted fences", "a stone museum", "bicycle lanes"]
FORMS = [
    ("Would you say that {} is a good thing or a bad thing for our country?",
     ["Very good", "Somewhat good", "Somewhat bad", "Very bad", "DK/Refused"]),
    ("Thinking of {}, do you...\n\nagree or disagree that \"more is better\"?", ["Agree", "Disagree", "Don't know"]),
    ("How justifiable, on a scale, is {}?", ["Never justifiable", 2, 3, 4, "Always justifiable"]),
]


def shares(random_numbers, country, topic, count):
    """Everybody leans to one option; the last two countries lean the other way on every third topic."""
    lean = topic % 2
    if country in COUNTRIES[3:5] and topic % 3 == 0:
        lean = 1 - lean
    weights = [random_numbers.random() + (3 if option == (0 if lean == 0 else count - 2) else 0)
               for option in range(count)]
    return [round(weight / sum(weights), 4) for weight in weights]


def main():
    random_numbers = random.Random(2024)
    path = pathlib.Path(__file__).with_name("global_opinions.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)  # ends lines with "\r\n", quotes where it must
        writer.writerow(["question", "selections", "options", "source"])
        for topic, name in enumerate(TOPICS):
            for form, (text, options) in enumerate(FORMS):
                selections = collections.defaultdict(list)
                for country in COUNTRIES:
                    if random_numbers.random() < ASKED[country]:
                        selections[country] = shares(random_numbers, country, topic, len(options))
                if topic == 3:
                    selections["C\u00f4te d'Ivoire"] = [0.0] * len(options)  # nobody answered
                writer.writerow([text.format(name), selections, options, ("GAS", "WVS")[form % 2]])
        writer.writerow(["", collections.defaultdict(list, {"Japan": []}), [], "GAS"])


if __name__ == "__main__":
    main()
