"""Keywords for embeddings, rankings and scores."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

from assertionengine import AssertionOperator
from robot.api.deco import keyword

from InferenceLibrary.client.answers import Reply
from InferenceLibrary.errors import CheckFailure, describe
from InferenceLibrary.keywords.shared.assertions import check_number
from InferenceLibrary.keywords.shared.calling import CallGroup, has_failed
from InferenceLibrary.keywords.shared.shared_arguments import SENDING, takes
from InferenceLibrary.protocol.paths import EMBEDDINGS, RERANK, SCORE
from InferenceLibrary.types import Texts, shown_kind, to_texts

if TYPE_CHECKING:
    from InferenceLibrary.client.embeddings import Embeddings


class EmbeddingKeywords(CallGroup):
    """Vectors of texts, and texts scored and put in order."""

    @keyword(tags=["embeddings", "call"])
    @takes(SENDING)
    def create_embeddings(
        self,
        texts: Texts | None = None,
        *,
        tokens: list[int] | list[list[int]] | None = None,
        encoding: Literal["float", "base64"] = "float",
        dimensions: int | None = None,
        model: str | None = None,
        **options: Any,
    ) -> Any:
        """Ask for the embeddings of texts (`POST /v1/embeddings`) and check their form.

        There is one vector for each text, in order, all of one length. Base64 holds little-endian 32-bit floats.

        Args:
            texts: One text or several.
            tokens: Ids of the tokens of one text, or lists of them for several, in place of texts.
            encoding: How the server shall send the numbers.
            dimensions: Length that the vectors shall have.
            model: Model to ask for; the server's by default.

        Returns:
            The embeddings: `${embeddings.vectors}`, `${embeddings.dimensions}`, `${embeddings.usage}`,
            `${embeddings.reply}`.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: The answer is malformed, or not as asked for.
            ValueError: There are neither texts nor tokens, or both.

        Example:
        ```robotframework
        *** Test Cases ***
        Two Vectors
            Start Server    simulator
            ${embeddings} =    Create Embeddings    ["one text", "another"]    dimensions=16
            Length Should Be    ${embeddings.vectors}    2
        ```
        """
        from InferenceLibrary.client.embeddings import read_embeddings

        call = self._call(options)
        inputs = _inputs(texts, tokens)
        named = model or call.server.client.model
        from InferenceLibrary.protocol.requests import embedding_body

        body = embedding_body(inputs, encoding, named, dimensions, call.question.extra)
        reply = self._made("embeddings", call, lambda: call.server.client.ask_body(EMBEDDINGS, body, call.sending))
        if has_failed(reply):
            return reply
        try:
            embeddings = read_embeddings(reply, len(inputs))
        except ValueError as error:
            raise CheckFailure(f"Embeddings: {error}.") from None
        if dimensions is not None and embeddings.dimensions != dimensions:
            raise CheckFailure(f"Embeddings: expected {dimensions} dimensions, got {embeddings.dimensions}.")
        if embeddings.encoding != encoding:
            raise CheckFailure(f"Embeddings: expected them as {encoding}, got {embeddings.encoding}.")
        self.log.info(f"    {embeddings}")
        return embeddings

    @keyword(tags=["embeddings", "assertion"])
    def embeddings_should_agree(
        self,
        one: Any,
        other: Any,
        *,
        first: int | None = None,
        second: int | None = None,
        tolerance: float = 1e-6,
    ) -> None:
        """Check that two answers give the same vectors: as float and base64, alone and in a batch, on two servers.

        Args:
            one: What [Create Embeddings] returned.
            other: The other one.
            first: Index of the one vector of the first answer that is compared; all when neither is given.
            second: That of the second answer.
            tolerance: The largest difference of two numbers.

        Raises:
            CheckFailure: They differ in number, length or value; or there is no such vector.

        Example:
        ```robotframework
        *** Test Cases ***
        Both Forms
            Start Server    simulator
            ${plain} =    Create Embeddings    a text
            ${packed} =    Create Embeddings    a text    encoding=base64
            Embeddings Should Agree    ${plain}    ${packed}
            ${batch} =    Create Embeddings    ["another text", "a text"]
            Embeddings Should Agree    ${batch}    ${plain}    first=1    second=0    tolerance=0.001
        ```
        """
        one, other = _made_of(one), _made_of(other)
        if first is None and second is None:
            vectors, others = one.vectors, other.vectors
        else:
            vectors, others = [_vector(one, first or 0)], [_vector(other, second or 0)]
        if len(vectors) != len(others) or one.dimensions != other.dimensions:
            raise CheckFailure(f"Embeddings: expected the same form, got {one} and {other}.")
        for index, (left, right) in enumerate(zip(vectors, others, strict=True)):
            # Written so that NaN, which is not larger than anything, fails.
            beyond = [abs(a - b) for a, b in zip(left, right, strict=True) if not abs(a - b) <= tolerance]
            if beyond:
                worst = max(beyond)
                raise CheckFailure(
                    f"Embeddings: expected equal vectors within {tolerance:g}, got a difference of {worst:g} "
                    f"in vector {index}."
                )
        self.log.info(f"Embeddings: {len(vectors)} of {one.dimensions} dimensions agree within {tolerance:g}.")

    @keyword(tags=["embeddings", "assertion"])
    def embeddings_should_have_unit_length(self, embeddings: Any, *, tolerance: float = 1e-3) -> None:
        """Check that each vector of an answer has the length 1, as normalised embeddings do.

        Args:
            embeddings: What [Create Embeddings] returned.
            tolerance: How far a length may be from 1.

        Raises:
            CheckFailure: There is no vector; or one is longer or shorter. The message names the first.

        Example:
        ```robotframework
        *** Test Cases ***
        Normalised
            Start Server    simulator
            ${embeddings} =    Create Embeddings    ["a text", "another"]
            Embeddings Should Have Unit Length    ${embeddings}
        ```
        """
        embeddings = _made_of(embeddings)
        if not embeddings.vectors:
            raise CheckFailure("Lengths of embeddings: expected at least one vector, got none.")
        lengths = [math.hypot(*vector) for vector in embeddings.vectors]
        for index, length in enumerate(lengths):
            # Written so that NaN fails.
            if not abs(length - 1) <= tolerance:
                raise CheckFailure(
                    f"Lengths of embeddings: expected 1 within {tolerance:g}, got {length:.6g} in vector {index} of "
                    f"{len(lengths)}."
                )
        self.log.info(f"The lengths of {len(lengths)} vectors are from {min(lengths):.6g} to {max(lengths):.6g}.")

    @keyword(tags=["embeddings", "getter"])
    def get_similarity(
        self,
        embeddings: Any,
        first: int = 0,
        second: int = 1,
        assertion_operator: AssertionOperator | None = None,
        assertion_expected: Any = None,
        message: str | None = None,
    ) -> Any:
        """Return the cosine similarity of two vectors of one answer, checked inline when an operator is given.

        Args:
            embeddings: What [Create Embeddings] returned.
            first: Index of a vector, from 0.
            second: Index of the other.
            assertion_operator: `>`, `<=` and so on.
            assertion_expected: The other side.
            message: Replaces the text of the failure.

        Returns:
            From -1 to 1.

        Raises:
            CheckFailure: The vector does not exist, or the comparison does not hold.

        Example:
        ```robotframework
        *** Test Cases ***
        Same Text
            Start Server    simulator
            ${embeddings} =    Create Embeddings    ["a cat", "a cat"]
            Get Similarity    ${embeddings}    0    1    >=    0.9999
        ```
        """
        from InferenceLibrary.protocol.vectors import cosine

        embeddings = _made_of(embeddings)
        try:
            value = cosine(embeddings.vectors[first], embeddings.vectors[second])
        except IndexError:
            raise CheckFailure(f"Similarity: expected vectors {first} and {second}, got {embeddings}.") from None
        except ValueError as error:
            raise CheckFailure(f"Similarity: {error}.") from None
        return check_number(value, assertion_operator, assertion_expected, "similarity", "", message)

    @keyword(tags=["embeddings", "assertion"])
    def ranking_should_begin_with(self, results: Any, *indices: int) -> None:
        """Check which documents come first in a ranking, in this order.

        Args:
            results: What [Rerank] returned.
            indices: Indices of documents, from 0: the best first.

        Raises:
            CheckFailure: Another document stands at one of these places, there are fewer; or no index is given.

        Example:
        ```robotframework
        *** Test Cases ***
        The Best Two
            Start Server    simulator
            VAR    @{documents}    Cats sleep.    The capital of Italy is Rome.    The capital of France is Paris.
            ${results} =    Rerank    What is the capital of France?    ${documents}
            Ranking Should Begin With    ${results}    2    1
        ```
        """
        if not indices:
            raise CheckFailure("Ranking: expected at least one index to compare, got none.")
        found = [one.get("index") if isinstance(one, dict) else None for one in results]
        if found[: len(indices)] != list(indices):
            wanted = ", ".join(map(str, indices))
            raise CheckFailure(
                f"Ranking: expected it to begin with {wanted}, got {', '.join(map(str, found)) or 'none'}."
            )
        self.log.info(f"The ranking: {', '.join(map(str, found))}.")

    @keyword(tags=["embeddings", "call"])
    @takes(SENDING)
    def rerank(
        self, query: str, documents: Texts, *, top_n: int | None = None, model: str | None = None, **options: Any
    ) -> list[Any] | Reply:
        """Ask for documents in the order of their relevance (`POST /v1/rerank`); check it by the rules RK1 to RK4.

        Args:
            query: What is looked for.
            documents: The texts to put in order.
            top_n: How many to return.
            model: Model to ask for; the server's by default.

        Returns:
            The results as they came, best first: `${results}[0][index]`, `${results}[0][relevance_score]`.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: There is another number of results, an index is wrong, a score is not a number, or the best
                document does not come first.

        Example:
        ```robotframework
        *** Test Cases ***
        The Best Of Two
            Start Server    simulator
            VAR    @{documents}    Cats sleep all day.    Paris is the capital of France.
            ${results} =    Rerank    What is the capital of France?    ${documents}    top_n=1
            Should Be Equal As Integers    ${results}[0][index]    1
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import RANKING, hold

        call = self._call(options)
        texts = list(to_texts(documents))
        from InferenceLibrary.protocol.requests import rerank_body

        body = rerank_body(query, texts, model or call.server.client.model, top_n, call.question.extra)
        reply = self._made("rerank", call, lambda: call.server.client.ask_body(RERANK, body, call.sending))
        if has_failed(reply):
            return reply
        hold(self.context, "Ranking", reply, RANKING)
        results: list[Any] = reply.json["results"]
        return results

    @keyword(tags=["embeddings", "call"])
    @takes(SENDING)
    def score(self, query: str, documents: Texts, *, model: str | None = None, **options: Any) -> list[float] | Reply:
        """Ask how well documents fit a query (`POST /v1/score`, as vLLM has it); check the scores by the rule SC1.

        Args:
            query: What is looked for.
            documents: The texts to score.
            model: Model to ask for; the server's by default.

        Returns:
            A score for each document, in their order: `${scores}[0]`.

        Raises:
            RequestError: No answer in time, or another status than 200.
            CheckFailure: There is another number of scores, an index is not its place, or a score is not a number.

        Example:
        ```robotframework
        *** Test Cases ***
        Which Fits
            Start Server    simulator
            VAR    @{documents}    Cats sleep all day.    Paris is the capital of France.
            ${scores} =    Score    What is the capital of France?    ${documents}
            Should Be True    ${scores}[1] > ${scores}[0]
        ```
        """
        from InferenceLibrary.keywords.shared.rule_groups import SCORES, hold

        call = self._call(options)
        texts = list(to_texts(documents))
        from InferenceLibrary.protocol.requests import score_body

        body = score_body(query, texts, model or call.server.client.model, call.question.extra)
        reply = self._made("score", call, lambda: call.server.client.ask_body(SCORE, body, call.sending))
        if has_failed(reply):
            return reply
        hold(self.context, "Scores", reply, SCORES)
        return [item["score"] for item in reply.json["data"]]


def _made_of(value: Any) -> Embeddings:
    """Return what `Create Embeddings` returned."""
    from InferenceLibrary.client.embeddings import Embeddings

    if not isinstance(value, Embeddings):
        raise CheckFailure(describe("Embeddings", expected="what Create Embeddings returned", got=shown_kind(value)))
    return value


def _vector(embeddings: Embeddings, index: int) -> list[float]:
    try:
        found: list[float] = embeddings.vectors[index]
    except IndexError:
        raise CheckFailure(f"Embeddings: expected vector {index}, got {embeddings}.") from None
    return found


def _inputs(texts: Texts | None, tokens: list[Any] | None) -> list[Any]:
    if (texts is None) is (tokens is None):
        raise ValueError(f"Expected either texts or tokens= to embed, got {'neither' if texts is None else 'both'}.")
    if tokens is not None:
        return list(tokens) if tokens and isinstance(tokens[0], list) else [tokens]
    return list(to_texts(texts or []))
