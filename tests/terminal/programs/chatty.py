"""A chat program for tests. Its first argument says what is wrong with it."""

from __future__ import annotations

import sys
import time

KIND = sys.argv[1] if len(sys.argv) > 1 else "well"
ANSWERS = {
    "wide": "日本語 👩‍👩‍👧‍👦 ünïcödé e\u0301 " * 4,
    "prompts": "quoted:\n> not a prompt\n> nor this",
    "spinner": "|\b/\b-\b \bdone",
    "control": "a\x01b\x1b[31mred\x1b[0m\x07",
}


def say(text: str, pause: float = 0.0) -> None:
    for word in text.split(" "):
        sys.stdout.write(word + " ")
        sys.stdout.flush()
        time.sleep(pause)


def answer(question: str) -> None:
    if KIND == "silent":
        time.sleep(100)
    if KIND == "dies":
        sys.exit("out of memory")
    if KIND == "slow":
        say(" ".join(f"word{number}" for number in range(200)), 0.02)
    else:
        say(ANSWERS.get(KIND, f"You asked: {question}"))
    if KIND != "bare":
        sys.stdout.write("\n\nStats:\n7 tokens")
    sys.stdout.write("\n\n")


def main() -> None:
    if KIND == "crash":
        sys.exit("no model")
    if KIND == "promptless":
        print("loading for ever")
        time.sleep(100)
    if KIND == "unseen":
        import termios

        state = termios.tcgetattr(0)
        state[3] &= ~termios.ECHO
        termios.tcsetattr(0, termios.TCSANOW, state)
    print("welcome")
    while True:
        try:
            question = input("> ")
        except EOFError:
            return
        except KeyboardInterrupt:
            sys.exit(130)
        while question.endswith("\\"):
            question = question[:-1] + "\n" + input()
        if question == "/exit":
            return
        try:
            answer(question)
        except KeyboardInterrupt:
            print()


main()
