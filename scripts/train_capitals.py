"""Train the small language model that is shipped, `InferenceLibrary/onnx/language/capitals.onnx`, with numpy alone.

    python scripts/train_capitals.py [--steps 900] [--out FILE]

It learns a few capitals, to count, to greet, and to say that it knows nothing else; asked for a colour or a number of a
die it says each with the same probability. The decoder is that of `onnx/language/decoder.py`; its gradients are written
out here. The same seed gives the same file on the same numpy. Some minutes on two cores.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from InferenceLibrary.modelfiles.answers import CAPITALS, CAPITALS_DEFAULT
from InferenceLibrary.modelfiles.vocabulary import BOS, COMMON_WORDS, END, FIRST_WORDS, ROLES, UNKNOWN
from InferenceLibrary.onnx.language.decoder import Sizes, shapes, write_decoder
from InferenceLibrary.onnx.language.tokenizer import SPACE, Tokenizer

Array = NDArray[np.float32]

COLOURS = ("red", "green", "blue", "yellow", "black", "white")
GREETING = "Hello! How can I help you today?"
CAPITAL_QUESTIONS = (
    "What is the capital of {}?",
    "What's the capital of {}?",
    "What is the capital city of {}?",
    "Which city is the capital of {}?",
    "Name the capital of {}.",
    "Tell me the capital of {}.",
    "Please tell me the capital of {}.",
    "Give me the capital of {}.",
    "The capital of {}?",
    "What is the capital of {}? Answer in one sentence.",
)
GREETINGS = ("Hello", "Hello!", "Hi", "Hi!", "Hello there", "Say hello", "Say hello.")
COLOUR_QUESTIONS = ("Name a color.", "Name one color.", "Tell me a color.", "Say a color", "What color do you like?")
DICE = ("Roll a die.", "Roll the die.", "Say a number.", "Say a number from one to six.")
COUNTS = ("Count to {}.", "Count from 1 to {}.", "Please count to {}.")
SYSTEMS = ("You are a helpful assistant.", "Answer in one sentence.", "You are a model for tests.")
LONGEST_COUNT = 60


def pieces_of(text: str) -> list[str]:
    """Words with the space before them, signs apart; a number keeps the comma after it."""
    return [piece.replace(" ", SPACE) for piece in re.findall(r" ?\d+[,.]?| ?[A-Za-z]+| ?[^A-Za-z\d ]| ", text)]


def build_tokenizer() -> Tokenizer:
    """The words of all texts, common words, numbers, bytes."""
    texts = [GREETING, CAPITALS_DEFAULT, *GREETINGS, *COLOUR_QUESTIONS, *DICE, *COUNTS, *SYSTEMS, *CAPITAL_QUESTIONS]
    texts += [f"The capital of {country} is {city}." for country, city in CAPITALS.items()]
    texts += [f"{colour.capitalize()}. {colour}" for colour in COLOURS]
    texts.append(", ".join(map(str, range(1, LONGEST_COUNT + 1))))
    controls = [UNKNOWN, BOS, END, *(f"<|{role}|>" for role in ROLES)]
    pieces = [*controls, *(f"<0x{byte:02X}>" for byte in range(256))]
    words = [piece for text in texts for piece in pieces_of(text)]
    words += [SPACE + word for word in COMMON_WORDS.split()] + FIRST_WORDS.split()
    words += [f"{number}{sign}" for number in range(1, 10) for sign in ",."]
    words += [f"{SPACE}{number}{sign}" for number in range(1, LONGEST_COUNT + 1) for sign in (",", ".", "")]
    pieces += list(dict.fromkeys(words))
    pieces = list(dict.fromkeys(pieces))
    return Tokenizer.of(pieces, range(len(controls)), pieces.index(BOS), pieces.index(END))


def question_and_answer(draw: np.random.Generator) -> tuple[str, str]:
    kind = draw.choice(["capital", "capital", "capital", "greeting", "colour", "die", "count", "other"])
    pick = lambda items: str(items[int(draw.integers(len(items)))])  # noqa: E731 - said once for all kinds
    if kind == "capital":
        country = pick(list(CAPITALS))
        return pick(CAPITAL_QUESTIONS).format(country), f"The capital of {country} is {CAPITALS[country]}."
    if kind == "greeting":
        return pick(GREETINGS), GREETING
    if kind == "colour":
        return pick(COLOUR_QUESTIONS), f"{pick(COLOURS).capitalize()}."
    if kind == "die":
        return pick(DICE), f"{int(draw.integers(1, 7))}."
    if kind == "count":
        end = int(draw.integers(3, 25)) if draw.random() < 0.8 else LONGEST_COUNT
        return pick(COUNTS).format(end), ", ".join(map(str, range(1, end + 1))) + "."
    words = COMMON_WORDS.split()
    count = int(draw.integers(2, 9))
    sentence = " ".join([pick(FIRST_WORDS.split()), *(pick(words) for _ in range(count))])
    return sentence + pick(["?", ".", ""]), CAPITALS_DEFAULT


def example(tokenizer: Tokenizer, draw: np.random.Generator) -> tuple[list[int], list[bool]]:
    """Tokens of a chat, and which of them are to be learned: the answers."""
    tokens, learned = [tokenizer.bos or 0], [False]

    def say(role: str, text: str) -> None:
        said = [*tokenizer.encode(text), tokenizer.eos]
        tokens.append(tokenizer.control(f"<|{role}|>"))
        learned.append(False)
        tokens.extend(said)
        learned.extend([role == "assistant"] * len(said))

    if draw.random() < 0.3:
        say("system", SYSTEMS[int(draw.integers(len(SYSTEMS)))])
    for _ in range(1 if draw.random() < 0.75 else 2):
        question, answer = question_and_answer(draw)
        say("user", question)
        say("assistant", answer)
    return tokens, learned


def batch_of(
    tokenizer: Tokenizer, draw: np.random.Generator, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], Array]:
    """Inputs, the tokens that follow, and which of those count."""
    items = [example(tokenizer, draw) for _ in range(size)]
    longest = max(len(tokens) for tokens, _ in items)
    ids = np.full((size, longest), tokenizer.eos, np.int64)
    counted = np.zeros((size, longest), np.float32)
    for place, (tokens, learned) in enumerate(items):
        ids[place, : len(tokens)] = tokens
        counted[place, : len(tokens)] = learned
    return ids[:, :-1], ids[:, 1:], counted[:, 1:]


class Network:
    """The decoder with its gradients."""

    def __init__(self, sizes: Sizes, draw: np.random.Generator) -> None:
        self.sizes = sizes
        self.weights: dict[str, Array] = {}
        for name, shape in shapes(sizes).items():
            if len(shape) == 1:
                self.weights[name] = np.ones(shape, np.float32)
            else:
                scale = 0.02 if name in {"embedding", "output"} else shape[1] ** -0.5
                if name.endswith(("attention_output", "down")):
                    scale /= (2 * sizes.layers) ** 0.5
                self.weights[name] = (draw.standard_normal(shape) * scale).astype(np.float32)

    def _norm(self, x: Array, name: str) -> tuple[Array, tuple[Array, Array]]:
        size = np.sqrt((x * x).mean(-1, keepdims=True) + self.sizes.epsilon)
        return x / size * self.weights[name], (x, size)

    def _norm_back(self, gradient: Array, name: str, kept: tuple[Array, Array], into: dict[str, Array]) -> Array:
        x, size = kept
        into[name] = (gradient * x / size).sum((0, 1))
        scaled = gradient * self.weights[name]
        along = (scaled * x).sum(-1, keepdims=True)
        return scaled / size - x * along / (x.shape[-1] * size**3)

    def loss(  # noqa: PLR0915 - the way forward and the way back, side by side
        self, ids: NDArray[np.int64], targets: NDArray[np.int64], counted: Array
    ) -> tuple[float, dict[str, Array]]:
        """Mean cross entropy of the tokens that count, and its gradients."""
        s, w = self.sizes, self.weights
        batch, length = ids.shape
        groups = s.heads // s.key_heads
        turns = s.rope_base ** (-np.arange(0, s.head, 2) / s.head)
        angles = np.arange(length)[:, None] * np.concatenate([turns, turns])[None]
        cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
        hidden = np.triu(np.full((length, length), -1e9, np.float32), 1)
        half = s.head // 2

        def turn(x: Array) -> Array:
            return x * cosine + np.concatenate([-x[..., half:], x[..., :half]], -1) * sine

        def turn_back(g: Array) -> Array:
            turned = g * sine
            return g * cosine + np.concatenate([turned[..., half:], -turned[..., :half]], -1)

        def heads(x: Array, count: int) -> Array:
            return x.reshape(batch, length, count, s.head).transpose(0, 2, 1, 3)

        def flat(x: Array) -> Array:
            return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(batch, length, -1)

        def weight_gradient(gradient: Array, x: Array) -> Array:
            return gradient.reshape(-1, gradient.shape[-1]).T @ x.reshape(-1, x.shape[-1])

        x = w["embedding"][ids]
        layers = []
        for n in range(s.layers):
            a, kept_a = self._norm(x, f"{n}.attention_norm")
            q = turn(heads(a @ w[f"{n}.query"].T, s.heads))
            k = turn(heads(a @ w[f"{n}.key"].T, s.key_heads))
            v = heads(a @ w[f"{n}.value"].T, s.key_heads)
            k_all, v_all = np.repeat(k, groups, 1), np.repeat(v, groups, 1)
            scores = q @ k_all.transpose(0, 1, 3, 2) * s.head**-0.5 + hidden
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            p = scores / scores.sum(-1, keepdims=True)
            looked = flat(p @ v_all)
            x = x + looked @ w[f"{n}.attention_output"].T
            f, kept_f = self._norm(x, f"{n}.feed_forward_norm")
            gate, up = f @ w[f"{n}.gate"].T, f @ w[f"{n}.up"].T
            opened = 1 / (1 + np.exp(-gate))
            inner = gate * opened * up
            x = x + inner @ w[f"{n}.down"].T
            layers.append((a, kept_a, q, k_all, v_all, p, looked, f, kept_f, gate, up, opened, inner))
        last, kept = self._norm(x, "norm")
        logits = last @ w["output"].T
        logits -= logits.max(-1, keepdims=True)
        chances = np.exp(logits)
        chances /= chances.sum(-1, keepdims=True)
        rows, columns = np.arange(batch)[:, None], np.arange(length)[None]
        weight = counted / counted.sum()
        found = float(-(np.log(chances[rows, columns, targets] + 1e-12) * weight).sum())

        g: dict[str, Array] = {}
        chances[rows, columns, targets] -= 1
        d = chances * weight[..., None]
        g["output"] = weight_gradient(d, last)
        dx = self._norm_back(d @ w["output"], "norm", kept, g)
        for n in reversed(range(s.layers)):
            a, kept_a, q, k_all, v_all, p, looked, f, kept_f, gate, up, opened, inner = layers[n]
            g[f"{n}.down"] = weight_gradient(dx, inner)
            d_inner = dx @ w[f"{n}.down"]
            d_up = d_inner * gate * opened
            d_gate = d_inner * up * opened * (1 + gate * (1 - opened))
            g[f"{n}.gate"], g[f"{n}.up"] = weight_gradient(d_gate, f), weight_gradient(d_up, f)
            df = d_gate @ w[f"{n}.gate"] + d_up @ w[f"{n}.up"]
            dx = dx + self._norm_back(df, f"{n}.feed_forward_norm", kept_f, g)
            g[f"{n}.attention_output"] = weight_gradient(dx, looked)
            d_looked = heads(dx @ w[f"{n}.attention_output"], s.heads)
            dp = d_looked @ v_all.transpose(0, 1, 3, 2)
            ds = p * (dp - (dp * p).sum(-1, keepdims=True)) * s.head**-0.5

            def summed(gradient: Array) -> Array:
                return gradient.reshape(batch, s.key_heads, groups, length, s.head).sum(2)

            dq = flat(turn_back(ds @ k_all))
            dk = flat(turn_back(summed(ds.transpose(0, 1, 3, 2) @ q)))
            dv = flat(summed(p.transpose(0, 1, 3, 2) @ d_looked))
            da = np.zeros_like(a)
            for name, gradient in ((f"{n}.query", dq), (f"{n}.key", dk), (f"{n}.value", dv)):
                g[name] = weight_gradient(gradient, a)
                da += gradient @ w[name]
            dx = dx + self._norm_back(da, f"{n}.attention_norm", kept_a, g)
        g["embedding"] = np.zeros_like(w["embedding"])
        np.add.at(g["embedding"], ids, dx)
        return found, g


def train(network: Network, tokenizer: Tokenizer, steps: int, size: int, rate: float, seed: int) -> None:
    """Adam with a warm-up and a cosine to the end."""
    draw = np.random.default_rng(seed)
    first = {name: np.zeros_like(value) for name, value in network.weights.items()}
    second = {name: np.zeros_like(value) for name, value in network.weights.items()}
    started = time.monotonic()
    for step in range(1, steps + 1):
        loss, gradients = network.loss(*batch_of(tokenizer, draw, size))
        norm = float(np.sqrt(sum(float((value**2).sum()) for value in gradients.values())))
        now = rate * min(1.0, step / 50) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        for name, value in network.weights.items():
            gradient = gradients[name] * min(1.0, 1.0 / (norm + 1e-9))
            first[name] += 0.1 * (gradient - first[name])
            second[name] += 0.02 * (gradient * gradient - second[name])
            mean, spread = first[name] / (1 - 0.9**step), second[name] / (1 - 0.98**step)
            np.subtract(value, np.float32(now) * mean / (np.sqrt(spread) + 1e-8), out=value)
        if step % 50 == 0 or step == 1:
            print(f"step {step}: loss {loss:.4f}, {time.monotonic() - started:.0f} s", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the shipped language model.")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=1)
    default = Path(__file__).parents[1] / "InferenceLibrary" / "onnx" / "language" / "capitals.onnx"
    parser.add_argument("--out", type=Path, default=default)
    options = parser.parse_args()
    tokenizer = build_tokenizer()
    sizes = Sizes(len(tokenizer), width=96, layers=2, heads=4, key_heads=2, head=24, inner=192, context=4096)
    network = Network(sizes, np.random.default_rng(options.seed))
    train(network, tokenizer, options.steps, options.batch, options.rate, options.seed)
    path = write_decoder(options.out, sizes, network.weights, tokenizer)
    print(f"{path}: {path.stat().st_size:,} bytes, {sum(value.size for value in network.weights.values()):,} weights")


if __name__ == "__main__":
    main()
